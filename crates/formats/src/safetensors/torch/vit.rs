//! Vision transformers: ViT, DeiT, DINOv2 and CLIP's. Source: Dosovitskiy et al. 2020; Touvron et al. 2020 and 2022; Oquab et
//! al. 2023; Darcet et al. 2023.

use super::builder::Builder;
use super::modules::Conv;
use super::positions::{self, Grid};
use super::row::{Library, Network, Row, named, timm};
use crate::safetensors::file::Tensors;
use frostline_graph::{Error, Result, TensorId};
use serde_json::json;

/// What differs between them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Vit {
    patch: usize,
    channels: usize,
    depth: usize,
    heads: usize,
    /// Whether each branch has a factor for each channel.
    scaled: bool,
    class_token: bool,
    /// A second class token with a classifier of its own; the output is the mean of both.
    distilled: bool,
    registers: usize,
    /// Whether patches alone have positions, not the tokens before them.
    positions_of_patches: bool,
    /// Whether the classifier reads the mean of the patches; else the class token. A file with `fc_norm` means the mean, too.
    mean: bool,
    /// CLIP: a normalisation below the blocks, another epsilon.
    pre_norm: bool,
}

const LAYER_SCALE: f64 = 1e-5;

const fn vit(patch: usize, channels: usize, depth: usize, heads: usize) -> Vit {
    Vit {
        patch,
        channels,
        depth,
        heads,
        scaled: false,
        class_token: true,
        distilled: false,
        registers: 0,
        positions_of_patches: false,
        mean: false,
        pre_norm: false,
    }
}

impl Vit {
    const fn scaled(self) -> Self {
        Self { scaled: true, ..self }
    }

    const fn no_class_token(self) -> Self {
        Self { class_token: false, ..self }
    }

    const fn distilled(self) -> Self {
        Self { distilled: true, ..self }
    }

    const fn registers(self, registers: usize) -> Self {
        Self { registers, ..self }
    }

    const fn positions_of_patches(self) -> Self {
        Self { positions_of_patches: true, ..self }
    }

    const fn mean(self) -> Self {
        Self { mean: true, ..self }
    }

    const fn pre_norm(self) -> Self {
        Self { pre_norm: true, ..self }
    }
}

/// The names of the modules.
struct Names {
    patches: &'static str,
    class_token: &'static str,
    positions: &'static str,
    norm: &'static str,
    classifier: &'static str,
    block: BlockNames,
}

struct BlockNames {
    path: &'static str,
    norms: [&'static str; 2],
    qkv: &'static str,
    projection: &'static str,
    mlp: [&'static str; 2],
}

const TORCHVISION: Names = Names {
    patches: "conv_proj",
    class_token: "class_token",
    positions: "encoder.pos_embedding",
    norm: "encoder.ln",
    classifier: "heads.head",
    block: BlockNames {
        path: "encoder.layers.encoder_layer_",
        norms: ["ln_1", "ln_2"],
        qkv: "self_attention.in_proj",
        projection: "self_attention.out_proj",
        mlp: ["mlp.0", "mlp.3"],
    },
};

const TIMM: Names = Names {
    patches: "patch_embed.proj",
    class_token: "cls_token",
    positions: "pos_embed",
    norm: "norm",
    classifier: "head",
    block: BlockNames {
        path: "blocks.",
        norms: ["norm1", "norm2"],
        qkv: "attn.qkv",
        projection: "attn.proj",
        mlp: ["mlp.fc1", "mlp.fc2"],
    },
};

impl Network for Vit {
    fn build(&self, b: &mut Builder<'_>, library: Library) -> TensorId {
        let names = match library {
            Library::Torchvision => TORCHVISION,
            Library::Timm => TIMM,
        };
        let before = self.tokens_before();
        // as many patches as there are positions
        let with_positions = if self.positions_of_patches { 0 } else { before };
        let positions = b.shape(names.positions).and_then(|shape| shape.get(1)).copied().unwrap_or(0);
        let patches = positions.saturating_sub(with_positions);
        let side = patches.isqrt();
        let asked = b.image_size.map(|size| size.map(|extent| extent / self.patch));
        let grid = asked.filter(|[rows, columns]| rows * columns == patches).unwrap_or([side; 2]);
        if b.shape(names.positions).is_none() {
            b.fail(Error::weights(format!(
                "no tensor `{}`, which says how large the images are",
                names.positions
            )));
        } else if grid[0] * grid[1] != patches || patches == 0 {
            b.fail(Error::weights(format!(
                "`{}` has {positions} positions, {with_positions} of them of no patch: the rest are no square image\nhelp: it is another architecture, or was trained on images that are not square, which cannot be told",
                names.positions
            )));
        }
        let image = b.images_of(grid.map(|extent| extent * self.patch));
        let conv = Conv { bias: !self.pre_norm, ..Conv::patches(self.channels, self.patch) };
        let map = b.conv(names.patches, image, conv);
        let x = b.reshaped("patches", map, &[-1, self.channels as i64]);
        let x = self.with_tokens(b, &names, (map, x), positions);
        let epsilon = self.epsilon();
        let mut x = if self.pre_norm { b.layer_norm("norm_pre", x, epsilon) } else { x };
        for index in 0..self.depth {
            x = self.block(b, &names.block, &format!("{}{index}", names.block.path), x);
        }
        let after_mean = b.units("fc_norm").is_some();
        if !after_mean {
            x = b.layer_norm(names.norm, x, epsilon);
        }
        if self.distilled {
            return distilled_top(b, x);
        }
        if !self.mean && !after_mean {
            x = b.token("class_token_alone", x, 0);
            return b.classifier(names.classifier, x);
        }
        if before > 0 {
            x = b.places("patches_alone", x, [3, 1], before, None);
        }
        x = b.layer("mean", "GlobalAveragePooling1D", json!({}), &[x]);
        if after_mean {
            x = b.layer_norm("fc_norm", x, epsilon);
        }
        b.classifier(names.classifier, x)
    }

    fn take_to(&self, size: [usize; 2], tensors: &mut Tensors<'_>) -> Result<Option<String>> {
        let named = [TIMM.positions, TORCHVISION.positions];
        let Some(name) = named.into_iter().find(|name| tensors.shape(name).is_some()) else {
            return Ok(None);
        };
        let before = if self.positions_of_patches { 0 } else { self.tokens_before() };
        positions::take_to(tensors, name, Grid { patch: self.patch, before }, size)
    }
}

impl Vit {
    fn epsilon(&self) -> f64 {
        if self.pre_norm { 1e-5 } else { 1e-6 }
    }

    /// The tokens that are no patches.
    fn tokens_before(&self) -> usize {
        usize::from(self.class_token) + usize::from(self.distilled) + self.registers
    }

    /// Patches with their positions, behind the other tokens.
    fn with_tokens(
        &self,
        b: &mut Builder<'_>,
        names: &Names,
        (map, x): (TensorId, TensorId),
        positions: usize,
    ) -> TensorId {
        let like = (map, 4);
        let channels = self.channels;
        let mut tokens = Vec::new();
        let mut token = |b: &mut Builder<'_>, name: &str, count: usize| {
            if count > 0 {
                tokens.push(b.parameter(name, like, &[1, count, channels], &[count, channels]));
            }
        };
        token(b, names.class_token, usize::from(self.class_token));
        token(b, "dist_token", usize::from(self.distilled));
        token(b, "reg_token", self.registers);
        let added = |b: &mut Builder<'_>, x: TensorId| {
            let own = b.parameter(names.positions, like, &[1, positions, channels], &[positions, channels]);
            b.add(&format!("{}.add", names.positions), x, own)
        };
        let x = if self.positions_of_patches { added(b, x) } else { x };
        tokens.push(x);
        let x = if tokens.len() > 1 { b.joined("tokens", &tokens, 1) } else { x };
        if self.positions_of_patches { x } else { added(b, x) }
    }

    fn block(&self, b: &mut Builder<'_>, names: &BlockNames, path: &str, x: TensorId) -> TensorId {
        let child = |name: &str| format!("{path}.{name}");
        let y = b.layer_norm(&child(names.norms[0]), x, self.epsilon());
        let y = self.attention(b, names, path, y);
        let y = self.branch(b, &child("ls1.gamma"), y);
        let x = b.add(&child("add1"), x, y);
        let y = b.layer_norm(&child(names.norms[1]), x, self.epsilon());
        let [expand, project] = names.mlp.map(child);
        let y = b.linear(&expand, y, 4 * self.channels);
        let y = b.activation(&expand, "gelu", y);
        let y = b.linear(&project, y, self.channels);
        let y = self.branch(b, &child("ls2.gamma"), y);
        b.add(&child("add2"), x, y)
    }

    fn branch(&self, b: &mut Builder<'_>, name: &str, y: TensorId) -> TensorId {
        if self.scaled { b.layer_scale(name, y, self.channels, LAYER_SCALE) } else { y }
    }

    fn attention(&self, b: &mut Builder<'_>, names: &BlockNames, path: &str, x: TensorId) -> TensorId {
        let qkv = format!("{path}.{}", names.qkv);
        let name = |part: &str| format!("{path}.attention.{part}");
        let x = match names.qkv.ends_with("in_proj") {
            true => b.linear(&qkv, x, 3 * self.channels),
            false => b.linear_as_saved(&qkv, x, 3 * self.channels),
        };
        let width = (self.channels / self.heads) as i64;
        let parts: [TensorId; 3] = b.parts(&name("parts"), x);
        let [query, key, value] = [("query", parts[0]), ("key", parts[1]), ("value", parts[2])]
            .map(|(part, x)| b.reshaped(&name(part), x, &[-1, self.heads as i64, width]));
        let settings = json!({"is_causal": false});
        let x = b.operation(&name("heads"), "DotProductAttention", settings, &[query, key, value], &[]);
        let x = b.reshaped(&name("joined"), x, &[-1, self.channels as i64]);
        b.linear(&format!("{path}.{}", names.projection), x, self.channels)
    }
}

/// The mean of what the two classifiers make of the two class tokens.
fn distilled_top(b: &mut Builder<'_>, x: TensorId) -> TensorId {
    let class = b.token("class_token_alone", x, 0);
    let class = b.classifier("head", class);
    let distilled = b.token("dist_token_alone", x, 1);
    let distilled = b.classifier("head_dist", distilled);
    b.layer("mean", "Average", json!({}), &[class, distilled])
}

pub(super) const TABLE: &[Row<Vit>] = &[
    timm("eva_large_patch14_196", vit(14, 1024, 24, 16).mean()),
    timm("eva_large_patch14_336", vit(14, 1024, 24, 16).mean()),
    timm("flexivit_base", vit(16, 768, 12, 12).positions_of_patches()),
    timm("flexivit_large", vit(16, 1024, 24, 16).positions_of_patches()),
    timm("flexivit_small", vit(16, 384, 12, 6).positions_of_patches()),
    timm("vit_base_patch8_224", vit(8, 768, 12, 12)),
    timm("vit_base_patch14_dinov2", vit(14, 768, 12, 12).scaled()),
    timm("vit_base_patch14_reg1_tipsv2", vit(14, 768, 12, 12).scaled().registers(1).positions_of_patches()),
    timm("vit_base_patch14_reg4_dinov2", vit(14, 768, 12, 12).scaled().registers(4).positions_of_patches()),
    named("vit_b_16", "vit_base_patch16_224", vit(16, 768, 12, 12)),
    timm("vit_base_patch16_224_miil", vit(16, 768, 12, 12)),
    timm("vit_base_patch16_384", vit(16, 768, 12, 12)),
    timm("vit_base_patch16_clip_224", vit(16, 768, 12, 12).pre_norm()),
    timm("vit_base_patch16_clip_384", vit(16, 768, 12, 12).pre_norm()),
    timm("vit_base_patch16_gap_224", vit(16, 768, 12, 16).no_class_token().mean()),
    timm("vit_base_patch16_plus_240", vit(16, 896, 12, 14).scaled()),
    timm("vit_base_patch16_plus_clip_240", vit(16, 896, 12, 14).pre_norm()),
    timm(
        "vit_base_patch16_reg4_gap_256",
        vit(16, 768, 12, 12).registers(4).no_class_token().positions_of_patches().mean(),
    ),
    timm("vit_base_patch16_siglip_gap_224", vit(16, 768, 12, 12).no_class_token().mean()),
    timm("vit_base_patch16_siglip_gap_256", vit(16, 768, 12, 12).no_class_token().mean()),
    timm("vit_base_patch16_siglip_gap_384", vit(16, 768, 12, 12).no_class_token().mean()),
    timm("vit_base_patch16_siglip_gap_512", vit(16, 768, 12, 12).no_class_token().mean()),
    named("vit_b_32", "vit_base_patch32_224", vit(32, 768, 12, 12)),
    timm("vit_base_patch32_384", vit(32, 768, 12, 12)),
    timm("vit_base_patch32_clip_224", vit(32, 768, 12, 12).pre_norm()),
    timm("vit_base_patch32_clip_256", vit(32, 768, 12, 12).pre_norm()),
    timm("vit_base_patch32_clip_384", vit(32, 768, 12, 12).pre_norm()),
    timm("vit_base_patch32_clip_448", vit(32, 768, 12, 12).pre_norm()),
    timm("vit_base_patch32_plus_256", vit(32, 896, 12, 14).scaled()),
    timm("vit_betwixt_patch16_gap_256", vit(16, 640, 12, 10).scaled().no_class_token().mean()),
    timm(
        "vit_betwixt_patch16_reg1_gap_256",
        vit(16, 640, 12, 10).scaled().registers(1).no_class_token().positions_of_patches().mean(),
    ),
    timm(
        "vit_betwixt_patch16_reg4_gap_256",
        vit(16, 640, 12, 10).scaled().registers(4).no_class_token().positions_of_patches().mean(),
    ),
    timm(
        "vit_betwixt_patch16_reg4_gap_384",
        vit(16, 640, 12, 10).scaled().registers(4).no_class_token().positions_of_patches().mean(),
    ),
    timm("vit_betwixt_patch32_clip_224", vit(32, 640, 12, 10).pre_norm()),
    named("vit_h_14", "vit_huge_patch14_224", vit(14, 1280, 32, 16)),
    timm("vit_huge_patch14_clip_224", vit(14, 1280, 32, 16).pre_norm()),
    timm("vit_huge_patch14_clip_336", vit(14, 1280, 32, 16).pre_norm()),
    timm("vit_huge_patch14_clip_378", vit(14, 1280, 32, 16).pre_norm()),
    timm("vit_huge_patch14_gap_224", vit(14, 1280, 32, 16).no_class_token().mean()),
    timm("vit_huge_patch16_gap_448", vit(16, 1280, 32, 16).no_class_token().mean()),
    timm("vit_large_patch14_224", vit(14, 1024, 24, 16)),
    timm("vit_large_patch14_clip_224", vit(14, 1024, 24, 16).pre_norm()),
    timm("vit_large_patch14_clip_336", vit(14, 1024, 24, 16).pre_norm()),
    timm("vit_large_patch14_dinov2", vit(14, 1024, 24, 16).scaled()),
    timm("vit_large_patch14_reg1_tipsv2", vit(14, 1024, 24, 16).scaled().registers(1).positions_of_patches()),
    timm("vit_large_patch14_reg4_dinov2", vit(14, 1024, 24, 16).scaled().registers(4).positions_of_patches()),
    named("vit_l_16", "vit_large_patch16_224", vit(16, 1024, 24, 16)),
    timm("vit_large_patch16_384", vit(16, 1024, 24, 16)),
    timm("vit_large_patch16_siglip_gap_256", vit(16, 1024, 24, 16).no_class_token().mean()),
    timm("vit_large_patch16_siglip_gap_384", vit(16, 1024, 24, 16).no_class_token().mean()),
    named("vit_l_32", "vit_large_patch32_224", vit(32, 1024, 24, 16)),
    timm("vit_large_patch32_384", vit(32, 1024, 24, 16)),
    timm("vit_medium_patch16_clip_224", vit(16, 512, 12, 8).pre_norm()),
    timm("vit_medium_patch16_gap_240", vit(16, 512, 12, 8).scaled().no_class_token().mean()),
    timm("vit_medium_patch16_gap_256", vit(16, 512, 12, 8).scaled().no_class_token().mean()),
    timm("vit_medium_patch16_gap_384", vit(16, 512, 12, 8).scaled().no_class_token().mean()),
    timm(
        "vit_medium_patch16_reg1_gap_256",
        vit(16, 512, 12, 8).scaled().registers(1).no_class_token().positions_of_patches().mean(),
    ),
    timm(
        "vit_medium_patch16_reg4_gap_256",
        vit(16, 512, 12, 8).scaled().registers(4).no_class_token().positions_of_patches().mean(),
    ),
    timm("vit_medium_patch32_clip_224", vit(32, 512, 12, 8).pre_norm()),
    timm(
        "vit_mediumd_patch16_reg4_gap_256",
        vit(16, 512, 20, 8).scaled().registers(4).no_class_token().positions_of_patches().mean(),
    ),
    timm(
        "vit_mediumd_patch16_reg4_gap_384",
        vit(16, 512, 20, 8).scaled().registers(4).no_class_token().positions_of_patches().mean(),
    ),
    timm("vit_small_patch8_224", vit(8, 384, 12, 6)),
    timm("vit_small_patch14_dinov2", vit(14, 384, 12, 6).scaled()),
    timm("vit_small_patch14_reg4_dinov2", vit(14, 384, 12, 6).scaled().registers(4).positions_of_patches()),
    timm("vit_small_patch16_36x1_224", vit(16, 384, 36, 6).scaled()),
    timm("vit_small_patch16_224", vit(16, 384, 12, 6)),
    timm("vit_small_patch16_384", vit(16, 384, 12, 6)),
    timm("vit_small_patch32_224", vit(32, 384, 12, 6)),
    timm("vit_small_patch32_384", vit(32, 384, 12, 6)),
    timm("vit_tiny_patch16_224", vit(16, 192, 12, 3)),
    timm("vit_tiny_patch16_384", vit(16, 192, 12, 3)),
    timm("vit_xsmall_patch16_clip_224", vit(16, 256, 10, 4).pre_norm()),
    timm("deit3_base_patch16_224", vit(16, 768, 12, 12).scaled().positions_of_patches()),
    timm("deit3_base_patch16_384", vit(16, 768, 12, 12).scaled().positions_of_patches()),
    timm("deit3_huge_patch14_224", vit(14, 1280, 32, 16).scaled().positions_of_patches()),
    timm("deit3_large_patch16_224", vit(16, 1024, 24, 16).scaled().positions_of_patches()),
    timm("deit3_large_patch16_384", vit(16, 1024, 24, 16).scaled().positions_of_patches()),
    timm("deit3_medium_patch16_224", vit(16, 512, 12, 8).scaled().positions_of_patches()),
    timm("deit3_small_patch16_224", vit(16, 384, 12, 6).scaled().positions_of_patches()),
    timm("deit3_small_patch16_384", vit(16, 384, 12, 6).scaled().positions_of_patches()),
    timm("deit_base_distilled_patch16_224", vit(16, 768, 12, 12).distilled()),
    timm("deit_base_distilled_patch16_384", vit(16, 768, 12, 12).distilled()),
    timm("deit_base_patch16_224", vit(16, 768, 12, 12)),
    timm("deit_base_patch16_384", vit(16, 768, 12, 12)),
    timm("deit_small_distilled_patch16_224", vit(16, 384, 12, 6).distilled()),
    timm("deit_small_patch16_224", vit(16, 384, 12, 6)),
    timm("deit_tiny_distilled_patch16_224", vit(16, 192, 12, 3).distilled()),
    timm("deit_tiny_patch16_224", vit(16, 192, 12, 3)),
];
