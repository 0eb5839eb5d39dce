//! Every architecture, by the names of torchvision and timm. To add a family: a file with a table, and a line here.

use super::row::{Library, Network, Row};
use super::{
    convnext, densenet, ghostnet, inception, mixer, mobile, poolformer, regnet, repvgg, resnet, shufflenet,
    squeezenet, swin, vgg, vit,
};
use std::sync::LazyLock;

/// An architecture.
pub(super) struct Entry {
    names: [&'static str; 2],
    pub(super) family: &'static str,
    pub(super) network: &'static dyn Network,
}

impl Entry {
    /// What a library calls it; `None` where it does not have it.
    pub(super) fn name_in(&self, library: Library) -> Option<&'static str> {
        let [torchvision, timm] = self.names;
        let name = if library == Library::Torchvision { torchvision } else { timm };
        (!name.is_empty()).then_some(name)
    }

    /// torchvision's name, else timm's.
    pub(super) fn name(&self) -> &'static str {
        self.names.into_iter().find(|name| !name.is_empty()).unwrap_or_default()
    }

    /// What both libraries call it.
    pub(super) fn all_names(&self) -> Vec<&'static str> {
        self.names.into_iter().filter(|name| !name.is_empty()).collect()
    }

    /// The one of its names that this is.
    pub(super) fn own_name(&self, name: &str) -> Option<&'static str> {
        self.names.into_iter().find(|own| *own == name)
    }

    /// Whether both compute the same of the same tensors: networks with the same settings do.
    pub(super) fn is_the_same_as(&self, other: &Self) -> bool {
        self.family == other.family && format!("{:?}", self.network) == format!("{:?}", other.network)
    }

    /// Whether one of the libraries calls it so.
    pub(super) fn is_called(&self, name: &str) -> bool {
        self.names.contains(&name) && !name.is_empty()
    }
}

fn entries<N: Network>(family: &'static str, table: &'static [Row<N>]) -> impl Iterator<Item = Entry> {
    table.iter().map(move |row| Entry { names: row.names, family, network: row.network() })
}

/// All of them.
pub(super) static ENTRIES: LazyLock<Vec<Entry>> = LazyLock::new(|| {
    let mut all = Vec::new();
    all.extend(entries("ResNet", resnet::TABLE));
    all.extend(entries("MobileNet and EfficientNet", mobile::TABLE));
    all.extend(entries("ConvNeXt", convnext::TABLE));
    all.extend(entries("DenseNet", densenet::TABLE));
    all.extend(entries("RegNet", regnet::TABLE));
    all.extend(entries("VGG", vgg::TABLE));
    all.extend(entries("AlexNet", vgg::ALEXNETS));
    all.extend(entries("RepVGG", repvgg::TABLE));
    all.extend(entries("GoogLeNet", inception::GOOGLENETS));
    all.extend(entries("Inception V3", inception::TABLE));
    all.extend(entries("SqueezeNet", squeezenet::TABLE));
    all.extend(entries("ShuffleNet V2", shufflenet::TABLE));
    all.extend(entries("GhostNet", ghostnet::TABLE));
    all.extend(entries("ViT, DeiT and DINOv2", vit::TABLE));
    all.extend(entries("Swin", swin::TABLE));
    all.extend(entries("PoolFormer", poolformer::TABLE));
    all.extend(entries("MLP-Mixer and ResMLP", mixer::TABLE));
    all.extend(entries("ConvMixer", mixer::CONV_MIXERS));
    all
});

/// The names of the families, in order.
pub(super) fn families() -> Vec<&'static str> {
    let mut names: Vec<&str> = ENTRIES.iter().map(|entry| entry.family).collect();
    names.dedup();
    names
}

/// The architecture of a name.
pub(super) fn find(name: &str) -> Option<&'static Entry> {
    ENTRIES.iter().find(|entry| entry.is_called(name))
}
