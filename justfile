# What people type often: `just`, or `just NAME`. Installed by `pip install rust-just`.

# the tests of the README
test:
    cargo test --release

# what a change must pass before it lands, without Python
check:
    cargo fmt --check
    cargo clippy --release --workspace --all-targets -- -D warnings
    cargo test --release

# all that must hold, with real Keras and real photos
ci:
    .ci/run

# lists and goldens that are written by tests
bless:
    FROSTLINE_BLESS=1 cargo test --release -p frostline --test models list_of_layers

# the docs of the library, in a browser
doc:
    cargo doc --no-deps --workspace --open

# the textbook's experiment
demo:
    cargo run --release -- demo

# the book in docs/ as pages: target/book/index.html
book:
    scripts/book
