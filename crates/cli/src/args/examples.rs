//! Examples that end `--help`. A test parses every one of them.

pub(super) const INSPECT: &str = "\
Examples:
  frostline inspect model.keras
  frostline inspect resnet50.safetensors --arch resnet50
  frostline inspect run --json";

pub(super) const PLAN: &str = "\
Examples:
  frostline plan model.keras photos/
  frostline plan model.keras photos/ --unfreeze 20 --epochs 10";

pub(super) const TRAIN: &str = "\
Examples:
  frostline train model.keras photos/ -o run    # the head is solved
  frostline train model.keras photos/ -o run --unfreeze 20 --augment flip
  frostline train resnet50.safetensors --arch resnet50 photos/ -o run
  frostline train model.keras photos/ -o run --resume    # after Ctrl-C";

pub(super) const DEPTH: &str = "\
Examples:
  frostline depth model.keras photos/    # scores alone, nothing is trained
  frostline depth model.keras photos/ -o best --budget 30m
  frostline depth model.keras photos/ -o best --shard 0/4    # one of four";

pub(super) const MERGE: &str = "\
Examples:
  frostline merge features.parquet    # after embed ... --shard 0/4 to 3/4
  frostline merge best                # after depth ... -o best --shard I/N";

pub(super) const EVALUATE: &str = "\
Examples:
  frostline evaluate run test_photos/
  frostline evaluate run test_photos/ -o scores.html
  frostline evaluate run photos/ --split val --json";

pub(super) const CHECK: &str = "\
Examples:
  frostline check photos/
  frostline check photos/ --model model.keras    # labels that look wrong, too";

pub(super) const SUGGEST: &str = "\
Examples:
  frostline suggest run unlabelled/
  frostline suggest run unlabelled/ --count 50 --json";

pub(super) const CONVERT: &str = "\
Examples:
  frostline convert run -o model.h5
  frostline convert run -o model.onnx --embed-preprocessing
  frostline convert model.keras --weights new.weights.h5 -o model2.keras";

pub(super) const VERIFY: &str = "\
Examples:
  frostline verify model.keras --against keras.npz
  frostline verify model.onnx --against torch.npz --tolerance 1e-3";

pub(super) const CACHE: &str = "\
Examples:
  frostline cache list
  frostline cache verify
  frostline cache clear --cache /data/features";

pub(super) const DEMO: &str = "\
Examples:
  frostline demo
  frostline demo --seeds 10 --json";

pub(super) const DOCTOR: &str = "\
Examples:
  frostline doctor
  frostline doctor --json    # for a report of a fault";

pub(super) const COMPLETIONS: &str = "\
Examples:
  source <(frostline completions bash)    # in ~/.bashrc
  frostline completions zsh > ~/.zfunc/_frostline
  frostline completions fish > ~/.config/fish/completions/frostline.fish

A shell reads them when it starts the next time. For zsh, ~/.zfunc must be part of $fpath before compinit runs.";

pub(super) const MAN: &str = "\
Examples:
  frostline man -o ~/.local/share/man/man1
  frostline man train | man -l -";

pub(super) const MODELS: &str = "\
Examples:
  frostline models
  frostline models --all
  frostline models convnext";

#[cfg(feature = "pull")]
pub(super) const PULL: &str = "\
Examples:
  frostline pull timm/resnet50.a1_in1k
  frostline pull timm/mobilenetv3_small_100.lamb_in1k -o models/
  frostline pull owner/name@v1.0:classifier.keras

The file's checksum is compared with the one that the hub names, the licence is told, and what was interrupted goes on where it \
was. HF_ENDPOINT names another hub or a mirror; HF_TOKEN is the token for what is private or gated, and goes to no other host.";
