//! `headroom proxy`: stands between clients and providers.

mod admin;
mod app;
mod client;
mod cloud;
mod forward;
mod guard;
mod headers;
mod logs;
mod model;
mod observe;
mod route;
mod server;
pub(crate) mod shutdown;
mod store;
mod tunnel;
mod upstream;
mod wire;

use std::{
    error::Error,
    io::{self, Write as _},
    path::PathBuf,
    process::ExitCode,
    sync::Arc,
};

use clap::CommandFactory as _;

pub(crate) use self::store::keyring;
use self::{app::App, client::Network, cloud::Cloud, upstream::Upstreams};
use crate::config::{self, Config, Settings};

/// What `headroom proxy` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// A TOML file with any of the settings below
    #[arg(long, env = "HEADROOM_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,

    /// Prints every setting with its value, as a file for --config, and ends
    #[arg(long)]
    print_config: bool,

    #[command(flatten)]
    settings: Settings,
}

/// Serves until it is told to stop.
pub(crate) fn run(args: Args) -> ExitCode {
    match serve(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            let _ = writeln!(io::stderr(), "headroom proxy: {why}");
            // As with wrong flags.
            ExitCode::from(if why.is::<config::ConfigError>() { 2 } else { 1 })
        }
    }
}

fn serve(args: Args) -> Result<(), Box<dyn Error>> {
    let settings = config::read(args.settings, args.config.as_ref())?;
    if args.print_config {
        config::print(&settings, &mut io::stdout().lock())?;
        return Ok(());
    }
    let mut config = Config::new(settings)?;
    let network = Network::new(&config).map_err(config::ConfigError::from)?;
    logs::init(&config);
    for name in config::unknown(&crate::Cli::command()) {
        tracing::warn!(name, "no variable of headroom is called so: it is ignored");
    }
    for name in upstream::unused(&config) {
        tracing::warn!(name, "not asked, since --backend says who answers");
    }
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(config.threads).enable_all().build()?;
    let observer = runtime.block_on(async {
        let stop = shutdown::Signals::listen()?;
        cloud::complete(&mut config).await;
        let upstreams = Upstreams::new(&config).map_err(config::ConfigError::from)?;
        let cloud = Cloud::open(&config, &network).await.map_err(config::ConfigError::from)?;
        let kept = store::open(&config).await?;
        let app = App::new(&config, &network, upstreams, cloud, &kept)?;
        server::serve(&config, Arc::clone(&app), stop).await?;
        // What is to be kept is written before the end.
        kept.flush(config.shutdown_timeout).await;
        Ok::<_, Box<dyn Error>>(Arc::clone(&app.observer))
    })?;
    // What the end cut off is told too.
    drop(runtime);
    observer.tell();
    Ok(())
}
