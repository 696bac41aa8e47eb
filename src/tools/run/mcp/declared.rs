//! Which tools of servers the model sees: what the servers list now, and what they listed last where they do not yet.
//!
//! The last lists are kept in the state folder, so that at the next start the model knows the tools before their
//! server is there, and the conversation needs no new connection for them.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use super::super::Outside;
use super::News;
use crate::config::agent::mcp::McpServer;
use crate::config::agent::{Agent, Tool};
use crate::hw::folder::{FileTrouble, Folder};
use crate::tools::Tools;
use crate::tools::mcp::listed;

/// The file of the last lists: `{"NAME": [tool, …]}`.
const FILE: &str = "mcp-tools.json";
/// A longer file is not written: the tools are known when their servers are there, then.
const FILE_BYTES_MAX: usize = 1 << 20;

type Lists = BTreeMap<String, Vec<Value>>;

/// The tools of all servers.
pub(crate) struct Declared {
    /// Those of `[[tools]]`.
    own: Vec<Tool>,
    servers: Vec<McpServer>,
    lists: Lists,
    told: Vec<Tool>,
    declare: Arc<dyn Fn(Vec<Tool>) -> bool + Send + Sync>,
    folder: Option<Arc<Folder>>,
}

impl Declared {
    /// What is remembered of the last run; it is declared at once.
    pub(crate) fn remembered(agent: &Agent, outside: &Outside) -> Declared {
        if agent.token_url.is_some() && !agent.mcp.is_empty() {
            // The token's maker cannot know what this device's servers list (live-protocol.md 1.3).
            tracing::warn!("a token that is locked to a setup lets the model see no tools of [[mcp]]");
        }
        let folder = outside.folder.clone().filter(|_| !agent.mcp.is_empty());
        let lists = folder.as_deref().map(read).unwrap_or_default();
        let (own, servers) = (agent.tools.clone(), agent.mcp.clone());
        let mut declared = Declared { own, servers, lists, told: Vec::new(), declare: outside.declare.clone(), folder };
        declared.tell();
        declared
    }

    /// The table of all tools.
    pub(crate) fn table(&self) -> Tools {
        Tools::new(&[self.own.as_slice(), self.told.as_slice()].concat())
    }

    /// A server listed its tools. The new table, where that changes anything.
    pub(crate) fn take(&mut self, news: News) -> Option<Tools> {
        for why in &news.left_out {
            tracing::warn!("{why}");
        }
        let is_news = self.lists.get(&news.server) != Some(&news.tools);
        self.lists.insert(news.server, news.tools);
        if is_news {
            self.keep();
        }
        self.tell().then(|| self.table())
    }

    /// Declares the tools where they are others than before.
    fn tell(&mut self) -> bool {
        let tools = |server: &McpServer| self.lists.get(&server.name).map(|list| listed(server, list).tools);
        let tools: Vec<Tool> = self.servers.iter().filter_map(tools).flatten().collect();
        if tools == self.told {
            return false;
        }
        if !(self.declare)(tools.clone()) {
            tracing::warn!("the tools of MCP servers could not be declared; they are with the next list");
            return false;
        }
        self.told = tools;
        true
    }

    /// Writes the lists down, on a thread that may wait for the disk.
    fn keep(&self) {
        let Some(folder) = self.folder.clone() else { return };
        let known = self.lists.iter().filter(|(name, _)| self.servers.iter().any(|server| server.name == **name));
        let text = serde_json::to_vec(&known.collect::<BTreeMap<_, _>>()).unwrap_or_default();
        if text.is_empty() || text.len() > FILE_BYTES_MAX {
            return;
        }
        tokio::task::spawn_blocking(move || {
            if let Err(why) = folder.write(FILE, &text) {
                tracing::warn!("{why}");
            }
        });
    }
}

fn read(folder: &Folder) -> Lists {
    let found = match folder.read(FILE, FILE_BYTES_MAX as u64) {
        Ok(found) => found.unwrap_or_default(),
        Err(FileTrouble::Unfit(why) | FileTrouble::Unreadable(why)) => {
            tracing::warn!("{FILE} {why}; the tools of MCP servers are known when these are there");
            return Lists::new();
        }
    };
    // A file of another version, or half of one, is as good as none.
    serde_json::from_slice(&found).unwrap_or_default()
}
