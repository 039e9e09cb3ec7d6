//! `headroom completions` and `headroom man`.

use std::{
    io::{self, Write as _},
    process::ExitCode,
};

use clap::{Command, CommandFactory as _};
use clap_complete::Shell;

use crate::{
    Cli,
    exit::{TABLE, failed, print},
};

/// What `headroom completions` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// For which shell.
    shell: Shell,
}

/// Prints the completions of one shell.
pub(crate) fn completions(args: &Args) -> ExitCode {
    let mut text = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "headroom", &mut text);
    print(&text).into()
}

/// Prints the man page: of the program, then of each of its commands.
pub(crate) fn man() -> ExitCode {
    let mut text = Vec::new();
    match pages(&mut text) {
        Ok(()) => print(&text),
        Err(error) => failed(error),
    }
    .into()
}

fn pages(out: &mut Vec<u8>) -> io::Result<()> {
    let mut program = Cli::command();
    program.build();
    let man = clap_mangen::Man::new(program.clone());
    man.render_title(out)?;
    man.render_name_section(out)?;
    man.render_synopsis_section(out)?;
    man.render_description_section(out)?;
    writeln!(out, ".SH \"EXIT STATUS\"\n.nf")?;
    // The first line is what the heading says.
    TABLE.lines().skip(1).try_for_each(|line| writeln!(out, "{}", line.trim_start()))?;
    writeln!(out, ".fi")?;
    for command in program.get_subcommands().filter(|command| !command.is_hide_set()) {
        page(command, out)?;
    }
    Ok(())
}

/// The parts of a command's own page that say more than the program's does.
fn page(command: &Command, out: &mut Vec<u8>) -> io::Result<()> {
    writeln!(out, ".SH \"HEADROOM {}\"", command.get_name().to_uppercase())?;
    let man = clap_mangen::Man::new(command.clone());
    man.render_description_section(out)?;
    man.render_options_section(out)
}
