//! An allocator for the tests, which puts each allocation beside a page that may not be touched, so that a kernel that reads or
//! writes beyond a slice ends the process, with whatever vector instructions it does so. What is not initialised is NaN.
//!
//! It is in use where the environment says so; else memory is the system's. All other tests run once on each side of their pages
//! from the one test below.

use std::alloc::{GlobalAlloc, Layout, System};
use std::ffi::CStr;
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU8, Ordering};

const VARIABLE: &CStr = c"FROSTLINE_GUARD_PAGES";
/// A multiple of the pages of all processors that Linux runs on.
const PAGE: usize = 64 << 10;
/// A `f32` of such bytes is a NaN.
const NOT_INITIALISED: u8 = 0xff;

#[global_allocator]
static ALLOCATOR: GuardPages = GuardPages;

struct GuardPages;

#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Side {
    NotAsked,
    Neither,
    /// The allocation ends where a guard page begins.
    After,
    /// The allocation begins where a guard page ends.
    Before,
}

fn side() -> Side {
    static SIDE: AtomicU8 = AtomicU8::new(Side::NotAsked as u8);
    let of = |value: u8| {
        [Side::NotAsked, Side::Neither, Side::After, Side::Before]
            .into_iter()
            .find(|side| *side as u8 == value)
    };
    match of(SIDE.load(Ordering::Relaxed)) {
        None | Some(Side::NotAsked) => {
            // SAFETY: the name ends in a zero, and what is returned, if not null, is a string that ends in one. No test sets variables
            // of this process.
            let first =
                unsafe { libc::getenv(VARIABLE.as_ptr()).as_ref() }.map(|first| first.cast_unsigned());
            let side = match first {
                Some(b'a') => Side::After,
                Some(b'b') => Side::Before,
                _ => Side::Neither,
            };
            SIDE.store(side as u8, Ordering::Relaxed);
            side
        }
        Some(known) => known,
    }
}

/// Bytes between the guard pages.
fn inner(layout: Layout) -> usize {
    layout.size().next_multiple_of(PAGE)
}

/// Bytes from the end of the first guard page to the allocation.
fn margin(side: Side, layout: Layout) -> usize {
    match side {
        Side::After => inner(layout) - layout.size().next_multiple_of(layout.align()),
        _ => 0,
    }
}

// SAFETY: the memory of an allocation is its own, is as large and as aligned as was asked for, and stays until it is given back, with
// the layout by which its place is found again.
unsafe impl GlobalAlloc for GuardPages {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let side = side();
        if side == Side::Neither || layout.align() > PAGE {
            // SAFETY: the caller's promise
            return unsafe { System.alloc(layout) };
        }
        let inner = inner(layout);
        let private = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        // SAFETY: new pages, of which those between the first and the last are made readable and writable; the place is between them.
        unsafe {
            let first = libc::mmap(std::ptr::null_mut(), inner + 2 * PAGE, libc::PROT_NONE, private, -1, 0);
            if first == libc::MAP_FAILED {
                return std::ptr::null_mut();
            }
            // the system's pages may be smaller than PAGE, so the mapping may begin between two multiples of it
            let begin = first.cast::<u8>().add(PAGE);
            if libc::mprotect(begin.cast(), inner, libc::PROT_READ | libc::PROT_WRITE) != 0 {
                return std::ptr::null_mut();
            }
            let place = begin.add(margin(side, layout));
            place.write_bytes(NOT_INITIALISED, layout.size());
            place
        }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        let side = side();
        if side == Side::Neither || layout.align() > PAGE {
            // SAFETY: the caller's promise
            return unsafe { System.dealloc(place, layout) };
        }
        // SAFETY: where `alloc` began the mapping of this layout, and its length
        unsafe { libc::munmap(place.sub(margin(side, layout) + PAGE).cast(), inner(layout) + 2 * PAGE) };
    }
}

/// This program's tests of that name, or all but those of this file, in a process of their own.
fn tests_of(side: &str, arguments: &[&str]) -> Output {
    let program = std::env::current_exe().expect("a path");
    let mut command = Command::new(program);
    let variable = VARIABLE.to_str().expect("a name of letters");
    command.args(arguments).env(variable, side).env("PROPTEST_CASES", "16");
    command.output().expect("the program of the tests can be started")
}

#[test]
fn all_tests_pass_beside_guard_pages() {
    for side in ["after", "before"] {
        let done = tests_of(side, &["--skip", "guard_pages"]);
        let said = String::from_utf8_lossy(&done.stdout) + String::from_utf8_lossy(&done.stderr);
        assert!(done.status.success(), "{side}: {}\n{said}", done.status);
        assert!(said.contains("conv::tests"), "{said}");
    }
}

#[test]
fn guard_pages_end_a_process_that_reads_beyond() {
    use std::os::unix::process::ExitStatusExt;
    for (side, beyond) in [("after", "after_the_end"), ("before", "before_the_start")] {
        let name = format!("guard_pages::{beyond}");
        let done = tests_of(side, &["--ignored", "--exact", &name]);
        assert_eq!(done.status.signal(), Some(libc::SIGSEGV), "{side}: {done:?}");
        let done = tests_of("neither", &["--ignored", "--exact", &name]);
        assert!(done.status.success(), "the system's memory goes on there: {done:?}");
    }
}

#[test]
#[ignore = "reads what it may not: guard_pages_end_a_process_that_reads_beyond runs it"]
fn after_the_end() {
    read(3);
}

#[test]
#[ignore = "reads what it may not: guard_pages_end_a_process_that_reads_beyond runs it"]
fn before_the_start() {
    read(-1);
}

fn read(at: isize) {
    let values = std::hint::black_box(vec![1.0_f32; 3]);
    // SAFETY: none. It is one value beyond, which the system's allocator has as its own.
    let value = unsafe { values.as_ptr().offset(at).read_volatile() };
    std::hint::black_box(value);
}
