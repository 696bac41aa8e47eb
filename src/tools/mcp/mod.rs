//! Tools of servers of the Model Context Protocol: what a server lists becomes tools that the service takes, a
//! call becomes the server's, its answer the model's.
//!
//! What a server says is a stranger's: the names the model sees are the owner's file's, texts are cut and cleaned,
//! schemas translated by [`schema`]. What does not fit is left out, with a sentence for the owner.

pub mod answer;
pub mod schema;
mod way_back;

use std::time::Duration;

use serde_json::{Map, Value};

use super::shown;
use crate::config::agent::mcp::{Allowed, McpAction, McpServer};
use crate::config::agent::policy::says_off;
use crate::config::agent::{Action, Tool};

/// Characters of a server's description: a paragraph. The owner's own may be longer.
const DESCRIPTION_CHARS: usize = 1024;
/// When a server that went away is started again, ms: one that fell over once is there again before the next sentence,
/// and who mends one waits no longer than a minute.
pub const RESTART_STEPS_MS: [u64; 7] = [1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000];
/// A tool as the server lists it, in bytes of JSON; an honest schema has one or two thousand.
pub const LISTED_BYTES_MAX: usize = 64 << 10;

/// A call as the server gets it.
#[derive(Clone, Debug, PartialEq)]
pub struct McpCall {
    /// The server's name in `[[mcp]]`.
    pub server: String,
    /// The server's name for the tool.
    pub tool: String,
    /// The arguments as the server takes them.
    pub arguments: Map<String, Value>,
    /// When it is given up; a little earlier than the call as a whole, so that it is known who was late.
    pub patience: Duration,
}

/// What became of a server's list.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Listed {
    /// The allowed tools, in the order of the allow list.
    pub tools: Vec<Tool>,
    /// Sentences for the owner about those that are missing.
    pub left_out: Vec<String>,
}

/// The allowed ones of the tools that a server listed.
pub fn listed(server: &McpServer, list: &[Value]) -> Listed {
    let mut listed = Listed::default();
    for allowed in &server.allow {
        match tool(server, allowed, list) {
            Ok(tool) => listed.tools.push(tool),
            Err(why) => listed.left_out.push(format!("the MCP server `{}` {why}", server.name)),
        }
    }
    listed
}

/// The tools of `list` that are on the allow list, as they came: what is worth keeping of it.
pub fn kept(server: &McpServer, list: Vec<Value>) -> Vec<Value> {
    let is_kept = |tool: &Value| server.allow.iter().any(|allowed| tool["name"] == *allowed.tool) && is_short(tool);
    list.into_iter().filter(is_kept).collect()
}

fn is_short(tool: &Value) -> bool {
    tool.to_string().len() <= LISTED_BYTES_MAX
}

fn tool(server: &McpServer, allowed: &Allowed, list: &[Value]) -> Result<Tool, String> {
    let Some(found) = list.iter().find(|tool| tool["name"] == *allowed.tool) else {
        const NAMES_SHOWN: usize = 20; // enough to see what was meant
        let names: Vec<String> =
            list.iter().filter_map(|tool| tool["name"].as_str()).take(NAMES_SHOWN).map(shown).collect();
        let names = if names.is_empty() { "none".to_string() } else { names.join(", ") };
        return Err(format!("has no tool `{}`; it has {names}", shown(&allowed.tool)));
    };
    let left_out = |why: String| format!("has a tool `{}` that is left out: {why}", shown(&allowed.tool));
    if !is_short(found) {
        return Err(left_out(format!("its description and schema are longer than {LISTED_BYTES_MAX} bytes")));
    }
    let translated = schema::translate(&found["inputSchema"]).map_err(left_out)?;
    if let Some(argument) = &allowed.policy.on_argument
        && let Err(why) = says_off(translated.parameters.as_ref(), argument)
    {
        return Err(left_out(format!("its policy's `on_argument` names \"{}\", {why}", shown(argument))));
    }
    let said = [&found["description"], &found["title"]]
        .into_iter()
        .filter_map(Value::as_str)
        .map(|text| clean(text, DESCRIPTION_CHARS));
    let description = allowed.description.clone().or_else(|| said.into_iter().find(|text| !text.is_empty()));
    Ok(Tool {
        name: allowed.name.clone(),
        description: description.unwrap_or_else(|| allowed.name.replace('_', " ")),
        parameters: translated.parameters,
        behavior: allowed.behavior,
        timeout_ms: allowed.timeout_ms,
        action: Action::Mcp(McpAction {
            server: server.name.clone(),
            tool: allowed.tool.clone(),
            way_back: translated.way_back,
        }),
        policy: allowed.policy.clone(),
    })
}

/// The call that `args` make, which were checked against the translated schema before.
///
/// # Errors
/// A sentence for the model.
pub fn call(action: &McpAction, args: &Map<String, Value>, timeout: Duration) -> Result<McpCall, String> {
    let Value::Object(arguments) = way_back::restore(&action.way_back, Value::Object(args.clone()), "")? else {
        return Err("the arguments must be an OBJECT".to_string());
    };
    let patience = timeout - timeout / 20;
    Ok(McpCall { server: action.server.clone(), tool: action.tool.clone(), arguments, patience })
}

/// A stranger's text, in one paragraph of at most so many characters and without control characters.
fn clean(text: &str, chars_max: usize) -> String {
    // Cut before it is taken apart: a text of megabytes is not walked for a paragraph.
    let words = text.get(..text.floor_char_boundary(8 * chars_max)).unwrap_or_default();
    let words: Vec<&str> =
        words.split(|c: char| c.is_whitespace() || c.is_control()).filter(|w| !w.is_empty()).collect();
    let whole = words.join(" ");
    if whole.chars().count() <= chars_max {
        whole
    } else {
        whole.chars().take(chars_max - 2).chain(" …".chars()).collect()
    }
}

#[cfg(test)]
mod tests;
