//! `serve`, without a socket.

use super::{Call, Outcome, another};
use crate::args::Command;
use crate::serve::Answers;

/// What answers requests as `serve` does, and listens nowhere: for tests of what is answered to whatever is asked.
pub struct Server(Answers);

impl Server {
    /// Reads the model; `call` holds the flags of the command.
    ///
    /// # Errors
    ///
    /// As of the command.
    pub fn start(call: Call) -> Outcome<Self> {
        let listener = call.listener.clone();
        call.run("serve", None, Vec::new(), |command, _, _| match command {
            Command::Serve(command) => Ok(Self(Answers::start(command, listener)?)),
            _ => Err(another()),
        })
    }

    /// The status and the body of the answer.
    ///
    /// # Errors
    ///
    /// A method, an address or a header that HTTP has no form for.
    pub fn answer(
        &self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: Vec<u8>,
    ) -> Outcome<(u16, Vec<u8>)> {
        Ok(self.0.answer(method, target, headers, body)?)
    }
}
