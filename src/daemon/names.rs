//! The names that may stand in a dump: the owner's own, none that a person or a server says.

use super::wake;
use crate::config::agent::Agent;
use crate::config::board;
use crate::{hw, job, tools};

/// The names of a configuration that a dump may show: they are the owner's own.
pub fn names(agent: &Agent, profile: &board::Board) -> Vec<String> {
    let parts = [
        "mic",
        "speaker",
        "link",
        "tools",
        "line",
        "light",
        "model",
        "state",
        "sounds",
        "mqtt",
        "panel",
        "camera",
        "shutter",
        wake::PART,
        hw::fleet::PART,
        job::recorder::PART,
    ];
    let parts = parts.map(String::from);
    let tools = agent.tools.iter().map(|tool| tool.name.clone());
    let of_servers = agent.mcp.iter().flat_map(|server| &server.allow).map(|allowed| allowed.name.clone());
    let servers = agent.mcp.iter().map(|server| tools::run::mcp::part(&server.name));
    let home = agent.home.iter().map(|_| tools::run::HOME_PART.to_string());
    parts
        .into_iter()
        .chain(home)
        .chain(tools)
        .chain(of_servers)
        .chain(servers)
        .chain(profile.lines.keys().cloned())
        .collect()
}
