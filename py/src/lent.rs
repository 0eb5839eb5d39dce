//! Arrays of NumPy that a command reads where they lie. A slice of one lives as long as the call that borrows it, and the command
//! runs on a thread that may outlive the call; so the slice stays with the call, which answers for rows one by one.

use frostline::data::{Lender, Values};
use frostline_cli::in_process::Stopped;
use std::panic::resume_unwind;
use std::sync::mpsc::{Receiver, Sender, channel};

/// The values of an array, row-major.
#[derive(Clone, Copy)]
pub(crate) enum Slice<'a> {
    U8(&'a [u8]),
    F32(&'a [f32]),
}

enum Request {
    Row(usize, Sender<Values>),
    End,
}

/// The array, with those who ask for its rows.
pub(crate) struct Loan<'a> {
    values: Slice<'a>,
    row_len: usize,
    requests: Receiver<Request>,
    asks: Sender<Request>,
}

/// Asks for rows.
#[derive(Debug)]
struct Borrower {
    asks: Sender<Request>,
}

/// Ends the loan when it is dropped.
pub(crate) struct Ender(Sender<Request>);

impl Drop for Ender {
    fn drop(&mut self) {
        drop(self.0.send(Request::End));
    }
}

impl<'a> Loan<'a> {
    /// Lends `values` of rows of this length, by what is returned.
    pub(crate) fn new(values: Slice<'a>, row_len: usize) -> (Self, impl Lender + use<>) {
        let (asks, requests) = channel();
        (Self { values, row_len, requests, asks: asks.clone() }, Borrower { asks })
    }

    pub(crate) fn ender(&self) -> Ender {
        Ender(self.asks.clone())
    }

    /// Answers until the loan ends.
    pub(crate) fn serve(self) {
        while let Ok(Request::Row(row, reply)) = self.requests.recv() {
            let at = row * self.row_len..(row + 1) * self.row_len;
            let values = match self.values {
                Slice::U8(values) => Values::U8(values[at].to_vec()),
                Slice::F32(values) => Values::F32(values[at].to_vec()),
            };
            drop(reply.send(values)); // who has asked may have ended
        }
    }
}

impl Lender for Borrower {
    fn row(&self, row: usize) -> Values {
        let (reply, answer) = channel();
        let asked = self.asks.send(Request::Row(row, reply)).ok();
        match asked.and_then(|()| answer.recv().ok()) {
            Some(values) => values,
            // the call that lent the array was stopped, and what is computed is of no use to anyone
            None => resume_unwind(Box::new(Stopped)),
        }
    }
}
