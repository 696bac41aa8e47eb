//! What a tool wants of the job log: written down at once, and answered only when it is on the disk.

/// Orders between the tools and the job log's thread; a technician dictates one at a time.
pub const JOB_ORDERS_MAX: usize = 8;

/// What a tool wants of the job log.
#[derive(Clone, Debug, PartialEq)]
pub enum JobOrder {
    /// Write down what somebody dictated.
    Note {
        /// Its words.
        text: String,
    },
    /// Write down what was read off an instrument.
    Reading {
        /// What was measured.
        name: String,
        /// What it said.
        value: f64,
        /// Its unit, where one was said.
        unit: Option<String>,
        /// What was said about it.
        comment: Option<String>,
    },
    /// A step of the procedure is done, or left out.
    Step {
        /// Which, counted from 1.
        step: u32,
        /// Left out, with the reason in the comment.
        is_skipped: bool,
        /// What was said about it.
        comment: Option<String>,
    },
    /// The job is this, by this procedure; another one where the present one has a title already.
    Start {
        /// What it is about.
        title: String,
        /// The procedure's name, where there is one.
        procedure: Option<String>,
    },
    /// The job is over.
    End,
    /// Tell where the job stands.
    Where,
}

impl JobOrder {
    /// What would be done, for a rehearsal.
    pub fn describe(&self) -> &'static str {
        match self {
            JobOrder::Note { .. } => "write a note into the job log",
            JobOrder::Reading { .. } => "write a reading into the job log",
            JobOrder::Step { .. } => "tick off a step of the procedure",
            JobOrder::Start { .. } => "begin a job",
            JobOrder::End => "end the job",
            JobOrder::Where => "tell where the job stands",
        }
    }
}
