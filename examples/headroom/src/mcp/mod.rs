//! `headroom mcp`: compression and retrieval for clients of the Model Context Protocol.

mod http;
mod server;
mod stats;

use std::{
    io::{self, IsTerminal as _},
    net::SocketAddr,
    process::ExitCode,
};

use rmcp::{ServiceExt as _, transport::stdio};

use self::server::Server;
use crate::{
    config::Secret,
    exit::{Exit, Failure, failed, tell},
    redeem::{Places, Redeemer},
};

/// How clients are told of this server.
const CLIENTS: &str = "\
Clients:
  Claude Code     claude mcp add headroom -- headroom mcp --proxy http://127.0.0.1:8787
                  claude mcp add --transport http headroom http://127.0.0.1:8788/mcp
  Claude Desktop  claude_desktop_config.json, Cursor: .cursor/mcp.json
                  {\"mcpServers\": {\"headroom\": {\"command\": \"headroom\", \"args\": [\"mcp\"]}}}
  VS Code         .vscode/mcp.json
                  {\"servers\": {\"headroom\": {\"type\": \"stdio\", \"command\": \"headroom\", \"args\": [\"mcp\"]}}}
  Codex           ~/.codex/config.toml
                  [mcp_servers.headroom]
                  command = \"headroom\"
                  args = [\"mcp\"]";

/// What `headroom mcp` takes.
#[derive(Debug, clap::Args)]
#[command(after_long_help = format!("{CLIENTS}\n\n{}", crate::exit::TABLE))]
pub(crate) struct Args {
    /// Serve streamable HTTP at `/mcp` of this address instead of standard input and output.
    #[arg(long, value_name = "ADDR", value_parser = address)]
    http: Option<SocketAddr>,

    /// What HTTP clients must send as `authorization: Bearer TOKEN`; needed beyond this machine.
    #[arg(long, env = "HEADROOM_MCP_TOKEN", hide_env_values = true, requires = "http")]
    token: Option<Secret>,

    /// A host name under which HTTP clients know this server, besides localhost.
    #[arg(long, value_name = "NAME", requires = "http")]
    allow_host: Vec<String>,

    #[command(flatten)]
    places: Places,
}

fn address(text: &str) -> Result<SocketAddr, &'static str> {
    text.parse().map_err(|_| "an IP address and a port, as in 127.0.0.1:8788")
}

/// Serves until the client leaves, or until it is told to stop.
pub(crate) fn run(args: Args) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failed(error).into(),
    };
    match runtime.block_on(serve(args)) {
        Ok(()) => Exit::Done,
        Err(failure) => failure.end(),
    }
    .into()
}

async fn serve(args: Args) -> Result<(), Failure> {
    let server = Server::new(Redeemer::open(&args.places).await?);
    if let Some(address) = args.http {
        return http::serve(server, address, args.token, args.allow_host).await;
    }
    if io::stdin().is_terminal() {
        tell(
            "MCP clients start this and speak JSON-RPC to it: --help says how they are told; Ctrl-C ends it",
        );
    }
    let running = server.serve(stdio()).await.map_err(|error| {
        Failure::failed(format_args!("no MCP client: {error} (--help says how clients are set up)"))
    })?;
    running.waiting().await.map(drop).map_err(Failure::failed)
}
