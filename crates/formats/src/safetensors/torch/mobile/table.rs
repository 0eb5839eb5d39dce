//! Every network, in timm's notation. Names that begin with `tf_` are ports from TensorFlow: its padding and its epsilon.

use super::{Channels, Depth, Mobile, Rounding, SqueezeRule, Style, Top, Torchvision};
use crate::safetensors::torch::modules::BatchNorm;
use crate::safetensors::torch::row::{Row, both, named, timm, torchvision};

const TO_8: Rounding = Rounding { divisor: 8, limit: 0.9 };

/// By the channels that come in, with the block's activation.
const OF_INPUT: SqueezeRule =
    SqueezeRule { of_expanded: false, rounding: None, function: "", gate: "sigmoid" };

/// MobileNetV3: by the expanded channels, rounded to 8.
const OF_EXPANDED: SqueezeRule =
    SqueezeRule { of_expanded: true, rounding: Some(TO_8), function: "relu", gate: "hard_sigmoid" };

const TIMM_ONLY: Torchvision =
    Torchvision { style: Style::EfficientNet, norm: BatchNorm::DEFAULT, dropout: 0.0, stochastic_depth: 0.0 };

/// As timm's builder has it where nothing else is said.
const PLAIN: Mobile = Mobile {
    stages: &[],
    width: 1.0,
    depths: &[1.0],
    depth: Depth::Ceil,
    scales_ends: true,
    rounding: TO_8,
    stem: 32,
    scales_stem: true,
    function: "relu",
    squeeze: OF_INPUT,
    top: Top::Convolution(Channels::Exactly(1280)),
    norm: BatchNorm::DEFAULT,
    tensorflow_padding: false,
    torchvision: TIMM_ONLY,
};

impl Mobile {
    const fn width(self, width: f64) -> Self {
        Self { width, ..self }
    }

    /// Ports from TensorFlow.
    const fn tf(self) -> Self {
        Self { norm: BatchNorm::TENSORFLOW, tensorflow_padding: true, ..self }
    }

    const fn torchvision(self, norm: BatchNorm, dropout: f64) -> Self {
        Self { torchvision: Torchvision { norm, dropout, ..self.torchvision }, ..self }
    }
}

const fn mobilenet_v1(width: f64) -> Mobile {
    Mobile {
        stages: &[
            "dsa_r1_k3_s1_c64",
            "dsa_r2_k3_s2_c128",
            "dsa_r2_k3_s2_c256",
            "dsa_r6_k3_s2_c512",
            "dsa_r2_k3_s2_c1024",
        ],
        function: "relu6",
        top: Top::None,
        ..PLAIN.width(width)
    }
}

const fn mobilenet_v2(width: f64) -> Mobile {
    Mobile {
        stages: &[
            "ds_r1_k3_s1_c16",
            "ir_r2_k3_s2_e6_c24",
            "ir_r3_k3_s2_e6_c32",
            "ir_r4_k3_s2_e6_c64",
            "ir_r3_k3_s1_e6_c96",
            "ir_r3_k3_s2_e6_c160",
            "ir_r1_k3_s1_e6_c320",
        ],
        function: "relu6",
        top: Top::Convolution(Channels::AtLeast(1280)),
        torchvision: Torchvision { style: Style::MobileNetV2, dropout: 0.2, ..TIMM_ONLY },
        ..PLAIN.width(width)
    }
}

/// MobileNetV2 that is deeper, too; its ends stay as they are.
const fn mobilenet_v2_d(width: f64, depths: &'static [f64]) -> Mobile {
    Mobile {
        depths,
        scales_ends: false,
        scales_stem: false,
        top: Top::Convolution(Channels::Exactly(1280)),
        ..mobilenet_v2(width)
    }
}

const V3: Mobile = Mobile {
    stem: 16,
    function: "hard_silu",
    squeeze: OF_EXPANDED,
    torchvision: Torchvision { style: Style::MobileNetV3, norm: BatchNorm::SLOW, dropout: 0.2, ..TIMM_ONLY },
    ..PLAIN
};

const fn mobilenet_v3_large(width: f64) -> Mobile {
    Mobile {
        stages: &[
            "ds_r1_k3_s1_e1_c16_nre",
            "ir_r1_k3_s2_e4_c24_nre ir_r1_k3_s1_e3_c24_nre",
            "ir_r3_k5_s2_e3_c40_se0.25_nre",
            "ir_r1_k3_s2_e6_c80 ir_r1_k3_s1_e2.5_c80 ir_r2_k3_s1_e2.3_c80",
            "ir_r2_k3_s1_e6_c112_se0.25",
            "ir_r3_k5_s2_e6_c160_se0.25",
            "cn_r1_k1_s1_c960",
        ],
        scales_stem: width >= 0.75,
        top: Top::Pooled { channels: 1280, bias: true },
        ..V3.width(width)
    }
}

const fn mobilenet_v3_small(width: f64) -> Mobile {
    Mobile {
        stages: &[
            "ds_r1_k3_s2_e1_c16_se0.25_nre",
            "ir_r1_k3_s2_e4.5_c24_nre ir_r1_k3_s1_e3.67_c24_nre",
            "ir_r1_k5_s2_e4_c40_se0.25 ir_r2_k5_s1_e6_c40_se0.25",
            "ir_r2_k5_s1_e3_c48_se0.25",
            "ir_r3_k5_s2_e6_c96_se0.25",
            "cn_r1_k1_s1_c576",
        ],
        scales_stem: width >= 0.75,
        top: Top::Pooled { channels: 1024, bias: true },
        ..V3.width(width)
    }
}

const MOBILENET_V3_LARGE_MINIMAL: Mobile = Mobile {
    stages: &[
        "ds_r1_k3_s1_e1_c16",
        "ir_r1_k3_s2_e4_c24 ir_r1_k3_s1_e3_c24",
        "ir_r3_k3_s2_e3_c40",
        "ir_r1_k3_s2_e6_c80 ir_r1_k3_s1_e2.5_c80 ir_r2_k3_s1_e2.3_c80",
        "ir_r2_k3_s1_e6_c112",
        "ir_r3_k3_s2_e6_c160",
        "cn_r1_k1_s1_c960",
    ],
    function: "relu",
    ..mobilenet_v3_large(1.0).tf()
};

const MOBILENET_V3_SMALL_MINIMAL: Mobile = Mobile {
    stages: &[
        "ds_r1_k3_s2_e1_c16",
        "ir_r1_k3_s2_e4.5_c24 ir_r1_k3_s1_e3.67_c24",
        "ir_r1_k3_s2_e4_c40 ir_r2_k3_s1_e6_c40",
        "ir_r2_k3_s1_e3_c48",
        "ir_r3_k3_s2_e6_c96",
        "cn_r1_k1_s1_c576",
    ],
    function: "relu",
    ..mobilenet_v3_small(1.0).tf()
};

const fn mobilenet_v4(stages: &'static [&'static str], stem: usize, width: f64) -> Mobile {
    Mobile {
        stages,
        stem,
        scales_stem: width >= 1.0,
        top: Top::PooledNorm { channels: 1280 },
        ..PLAIN.width(width)
    }
}

const V4_SMALL: &[&str] = &[
    "cn_r1_k3_s2_e1_c32 cn_r1_k1_s1_e1_c32",
    "cn_r1_k3_s2_e1_c96 cn_r1_k1_s1_e1_c64",
    "uir_r1_a5_k5_s2_e3_c96 uir_r4_a0_k3_s1_e2_c96 uir_r1_a3_k0_s1_e4_c96",
    "uir_r1_a3_k3_s2_e6_c128 uir_r1_a5_k5_s1_e4_c128 uir_r1_a0_k5_s1_e4_c128 uir_r1_a0_k5_s1_e3_c128 uir_r2_a0_k3_s1_e4_c128",
    "cn_r1_k1_s1_c960",
];

const V4_MEDIUM: &[&str] = &[
    "er_r1_k3_s2_e4_c48",
    "uir_r1_a3_k5_s2_e4_c80 uir_r1_a3_k3_s1_e2_c80",
    "uir_r1_a3_k5_s2_e6_c160 uir_r2_a3_k3_s1_e4_c160 uir_r1_a3_k5_s1_e4_c160 uir_r1_a3_k3_s1_e4_c160 uir_r1_a3_k0_s1_e4_c160 uir_r1_a0_k0_s1_e2_c160 uir_r1_a3_k0_s1_e4_c160",
    "uir_r1_a5_k5_s2_e6_c256 uir_r1_a5_k5_s1_e4_c256 uir_r2_a3_k5_s1_e4_c256 uir_r1_a0_k0_s1_e4_c256 uir_r1_a3_k0_s1_e4_c256 uir_r1_a3_k5_s1_e2_c256 uir_r1_a5_k5_s1_e4_c256 uir_r2_a0_k0_s1_e4_c256 uir_r1_a5_k0_s1_e2_c256",
    "cn_r1_k1_s1_c960",
];

const V4_LARGE: &[&str] = &[
    "er_r1_k3_s2_e4_c48",
    "uir_r1_a3_k5_s2_e4_c96 uir_r1_a3_k3_s1_e4_c96",
    "uir_r1_a3_k5_s2_e4_c192 uir_r3_a3_k3_s1_e4_c192 uir_r1_a3_k5_s1_e4_c192 uir_r5_a5_k3_s1_e4_c192 uir_r1_a3_k0_s1_e4_c192",
    "uir_r4_a5_k5_s2_e4_c512 uir_r1_a5_k0_s1_e4_c512 uir_r1_a5_k3_s1_e4_c512 uir_r2_a5_k0_s1_e4_c512 uir_r1_a5_k3_s1_e4_c512 uir_r1_a5_k5_s1_e4_c512 uir_r3_a5_k0_s1_e4_c512",
    "cn_r1_k1_s1_c960",
];

const fn mnasnet(width: f64) -> Mobile {
    Mobile {
        stages: &[
            "ds_r1_k3_s1_c16_noskip",
            "ir_r3_k3_s2_e3_c24",
            "ir_r3_k5_s2_e3_c40",
            "ir_r3_k5_s2_e6_c80",
            "ir_r2_k3_s1_e6_c96",
            "ir_r4_k5_s2_e6_c192",
            "ir_r1_k3_s1_e6_c320_noskip",
        ],
        torchvision: Torchvision {
            style: Style::Mnasnet,
            norm: BatchNorm { epsilon: 1e-5, momentum: 0.9997 },
            dropout: 0.2,
            stochastic_depth: 0.0,
        },
        ..PLAIN.width(width)
    }
}

const fn semnasnet(width: f64) -> Mobile {
    Mobile {
        stages: &[
            "ds_r1_k3_s1_e1_c16_noskip",
            "ir_r2_k3_s2_e6_c24",
            "ir_r3_k5_s2_e3_c40_se0.25",
            "ir_r4_k3_s2_e6_c80",
            "ir_r2_k3_s1_e6_c112_se0.25",
            "ir_r3_k5_s2_e6_c160_se0.25",
            "ir_r1_k3_s1_e6_c320",
        ],
        ..PLAIN.width(width)
    }
}

const MNASNET_SMALL: Mobile = Mobile {
    stages: &[
        "ds_r1_k3_s1_c8",
        "ir_r1_k3_s2_e3_c16",
        "ir_r2_k3_s2_e6_c16",
        "ir_r4_k5_s2_e6_c32_se0.25",
        "ir_r3_k3_s1_e6_c32_se0.25",
        "ir_r3_k5_s2_e6_c88_se0.25",
        "ir_r1_k3_s1_e6_c144",
    ],
    stem: 8,
    ..PLAIN
};

const SPNASNET: Mobile = Mobile {
    stages: &[
        "ds_r1_k3_s1_c16_noskip",
        "ir_r3_k3_s2_e3_c24",
        "ir_r1_k5_s2_e6_c40 ir_r3_k3_s1_e3_c40",
        "ir_r1_k5_s2_e6_c80 ir_r3_k3_s1_e3_c80",
        "ir_r1_k5_s1_e6_c96 ir_r3_k5_s1_e3_c96",
        "ir_r4_k5_s2_e6_c192",
        "ir_r1_k3_s1_e6_c320_noskip",
    ],
    ..PLAIN
};

const fn lcnet(width: f64) -> Mobile {
    Mobile {
        stages: &[
            "dsa_r1_k3_s1_c32",
            "dsa_r2_k3_s2_c64",
            "dsa_r2_k3_s2_c128",
            "dsa_r1_k3_s2_c256 dsa_r1_k5_s1_c256",
            "dsa_r4_k5_s1_c256",
            "dsa_r2_k5_s2_c512_se0.25",
        ],
        stem: 16,
        function: "hard_silu",
        squeeze: SqueezeRule { rounding: None, ..OF_EXPANDED },
        top: Top::Pooled { channels: 1280, bias: true },
        ..PLAIN.width(width)
    }
}

/// As FBNetV3 is rounded.
const TO_8_CLOSER: Rounding = Rounding { divisor: 8, limit: 0.95 };

const fn fbnet_v3(stages: &'static [&'static str], stem: usize) -> Mobile {
    Mobile {
        stages,
        stem,
        rounding: TO_8_CLOSER,
        function: "hard_silu",
        squeeze: SqueezeRule { rounding: Some(TO_8_CLOSER), gate: "hard_sigmoid", ..OF_INPUT },
        top: Top::Pooled { channels: 1984, bias: false },
        ..PLAIN
    }
}

const B0: &[&str] = &[
    "ds_r1_k3_s1_e1_c16_se0.25",
    "ir_r2_k3_s2_e6_c24_se0.25",
    "ir_r2_k5_s2_e6_c40_se0.25",
    "ir_r3_k3_s2_e6_c80_se0.25",
    "ir_r3_k5_s1_e6_c112_se0.25",
    "ir_r4_k5_s2_e6_c192_se0.25",
    "ir_r1_k3_s1_e6_c320_se0.25",
];

const fn efficientnet(width: f64, depths: &'static [f64], dropout: f64) -> Mobile {
    Mobile {
        stages: B0,
        depths,
        function: "silu",
        top: Top::Convolution(Channels::Scaled(1280)),
        torchvision: Torchvision { dropout, stochastic_depth: 0.2, ..TIMM_ONLY },
        ..PLAIN.width(width)
    }
}

const fn b0() -> Mobile {
    efficientnet(1.0, &[1.0], 0.2)
}

const fn b1() -> Mobile {
    efficientnet(1.0, &[1.1], 0.2)
}

const fn b2() -> Mobile {
    efficientnet(1.1, &[1.2], 0.3)
}

const fn b3() -> Mobile {
    efficientnet(1.2, &[1.4], 0.3)
}

const fn b4() -> Mobile {
    efficientnet(1.4, &[1.8], 0.4)
}

const fn b5() -> Mobile {
    efficientnet(1.6, &[2.2], 0.4).torchvision(BatchNorm::SLOW, 0.4)
}

const fn b6() -> Mobile {
    efficientnet(1.8, &[2.6], 0.5).torchvision(BatchNorm::SLOW, 0.5)
}

const fn b7() -> Mobile {
    efficientnet(2.0, &[3.1], 0.5).torchvision(BatchNorm::SLOW, 0.5)
}

const fn b8() -> Mobile {
    efficientnet(2.2, &[3.6], 0.0)
}

const fn tinynet(width: f64, depths: &'static [f64]) -> Mobile {
    Mobile {
        stages: B0,
        depths,
        depth: Depth::Round,
        scales_stem: false,
        function: "silu",
        top: Top::Convolution(Channels::AtLeast(1280)),
        ..PLAIN.width(width)
    }
}

const fn efficientnet_lite(width: f64, depths: &'static [f64]) -> Mobile {
    Mobile {
        stages: &[
            "ds_r1_k3_s1_e1_c16",
            "ir_r2_k3_s2_e6_c24",
            "ir_r2_k5_s2_e6_c40",
            "ir_r3_k3_s2_e6_c80",
            "ir_r3_k5_s1_e6_c112",
            "ir_r4_k5_s2_e6_c192",
            "ir_r1_k3_s1_e6_c320",
        ],
        depths,
        scales_ends: false,
        scales_stem: false,
        function: "relu6",
        ..PLAIN.width(width)
    }
}

const fn efficientnet_edge(width: f64, depths: &'static [f64]) -> Mobile {
    Mobile {
        stages: &[
            "er_r1_k3_s1_e4_c24_fc24_noskip",
            "er_r2_k3_s2_e8_c32",
            "er_r4_k3_s2_e8_c48",
            "ir_r5_k5_s2_e8_c96",
            "ir_r4_k5_s1_e8_c144",
            "ir_r2_k5_s2_e8_c192",
        ],
        depths,
        top: Top::Convolution(Channels::Scaled(1280)),
        ..PLAIN.width(width)
    }
}

/// EfficientNetV2 of TensorFlow's smaller ones.
const fn efficientnet_v2_b(width: f64, depths: &'static [f64]) -> Mobile {
    Mobile {
        stages: &[
            "cn_r1_k3_s1_e1_c16_skip",
            "er_r2_k3_s2_e4_c32",
            "er_r2_k3_s2_e4_c48",
            "ir_r3_k3_s2_e4_c96_se0.25",
            "ir_r5_k3_s1_e6_c112_se0.25",
            "ir_r8_k3_s2_e6_c192_se0.25",
        ],
        depths,
        rounding: Rounding { divisor: 8, limit: 0.0 },
        function: "silu",
        top: Top::Convolution(Channels::Scaled(1280)),
        ..PLAIN.width(width)
    }
}

const fn efficientnet_v2(stages: &'static [&'static str], stem: usize, dropout: f64) -> Mobile {
    Mobile {
        stages,
        stem,
        function: "silu",
        torchvision: Torchvision { norm: BatchNorm::TENSORFLOW, dropout, stochastic_depth: 0.2, ..TIMM_ONLY },
        ..PLAIN
    }
}

const V2_S: &[&str] = &[
    "cn_r2_k3_s1_e1_c24_skip",
    "er_r4_k3_s2_e4_c48",
    "er_r4_k3_s2_e4_c64",
    "ir_r6_k3_s2_e4_c128_se0.25",
    "ir_r9_k3_s1_e6_c160_se0.25",
    "ir_r15_k3_s2_e6_c256_se0.25",
];

const V2_M: &[&str] = &[
    "cn_r3_k3_s1_e1_c24_skip",
    "er_r5_k3_s2_e4_c48",
    "er_r5_k3_s2_e4_c80",
    "ir_r7_k3_s2_e4_c160_se0.25",
    "ir_r14_k3_s1_e6_c176_se0.25",
    "ir_r18_k3_s2_e6_c304_se0.25",
    "ir_r5_k3_s1_e6_c512_se0.25",
];

const V2_L: &[&str] = &[
    "cn_r4_k3_s1_e1_c32_skip",
    "er_r7_k3_s2_e4_c64",
    "er_r7_k3_s2_e4_c96",
    "ir_r10_k3_s2_e4_c192_se0.25",
    "ir_r19_k3_s1_e6_c224_se0.25",
    "ir_r25_k3_s2_e6_c384_se0.25",
    "ir_r7_k3_s1_e6_c640_se0.25",
];

const V2_XL: &[&str] = &[
    "cn_r4_k3_s1_e1_c32_skip",
    "er_r8_k3_s2_e4_c64",
    "er_r8_k3_s2_e4_c96",
    "ir_r16_k3_s2_e4_c192_se0.25",
    "ir_r24_k3_s1_e6_c256_se0.25",
    "ir_r32_k3_s2_e6_c512_se0.25",
    "ir_r8_k3_s1_e6_c640_se0.25",
];

/// timm's own, from before the authors' was released.
const V2_RW: &[&str] = &[
    "er_r2_k3_s1_e1_c24",
    "er_r4_k3_s2_e4_c48",
    "er_r4_k3_s2_e4_c64",
    "ir_r6_k3_s2_e4_c128_se0.25",
    "ir_r9_k3_s1_e6_c160_se0.25",
    "ir_r15_k3_s2_e6_c272_se0.25",
];

const fn efficientnet_v2_rw(
    stages: &'static [&'static str],
    width: f64,
    depths: &'static [f64],
    top: usize,
) -> Mobile {
    Mobile {
        depths,
        top: Top::Convolution(Channels::Scaled(top)),
        ..efficientnet_v2(stages, 24, 0.0).width(width)
    }
}

pub(in crate::safetensors::torch) const TABLE: &[Row<Mobile>] = &[
    timm("mobilenetv1_100", mobilenet_v1(1.0)),
    timm("mobilenetv1_100h", Mobile { top: Top::Convolution(Channels::AtLeast(1024)), ..mobilenet_v1(1.0) }),
    timm("mobilenetv1_125", mobilenet_v1(1.25)),
    timm("mobilenetv2_035", mobilenet_v2(0.35)),
    timm("mobilenetv2_050", mobilenet_v2(0.5)),
    timm("mobilenetv2_075", mobilenet_v2(0.75)),
    named("mobilenet_v2", "mobilenetv2_100", mobilenet_v2(1.0)),
    timm("mobilenetv2_110d", mobilenet_v2_d(1.1, &[1.2])),
    timm("mobilenetv2_120d", mobilenet_v2_d(1.2, &[1.4])),
    timm("mobilenetv2_140", mobilenet_v2(1.4)),
    timm("mobilenetv3_large_075", mobilenet_v3_large(0.75)),
    named("mobilenet_v3_large", "mobilenetv3_large_100", mobilenet_v3_large(1.0)),
    timm("mobilenetv3_large_150d", Mobile { depths: &[1.2], ..mobilenet_v3_large(1.5) }),
    timm("mobilenetv3_small_050", mobilenet_v3_small(0.5)),
    timm("mobilenetv3_small_075", mobilenet_v3_small(0.75)),
    named("mobilenet_v3_small", "mobilenetv3_small_100", mobilenet_v3_small(1.0)),
    timm("tf_mobilenetv3_large_075", mobilenet_v3_large(0.75).tf()),
    timm("tf_mobilenetv3_large_100", mobilenet_v3_large(1.0).tf()),
    timm("tf_mobilenetv3_large_minimal_100", MOBILENET_V3_LARGE_MINIMAL),
    timm("tf_mobilenetv3_small_075", mobilenet_v3_small(0.75).tf()),
    timm("tf_mobilenetv3_small_100", mobilenet_v3_small(1.0).tf()),
    timm("tf_mobilenetv3_small_minimal_100", MOBILENET_V3_SMALL_MINIMAL),
    timm("mobilenetv4_conv_small_035", mobilenet_v4(V4_SMALL, 32, 0.35)),
    timm("mobilenetv4_conv_small_050", mobilenet_v4(V4_SMALL, 32, 0.5)),
    timm("mobilenetv4_conv_small", mobilenet_v4(V4_SMALL, 32, 1.0)),
    timm("mobilenetv4_conv_medium", mobilenet_v4(V4_MEDIUM, 32, 1.0)),
    timm("mobilenetv4_conv_large", mobilenet_v4(V4_LARGE, 24, 1.0)),
    named("mnasnet0_5", "mnasnet_050", mnasnet(0.5)),
    named("mnasnet0_75", "mnasnet_075", mnasnet(0.75)),
    named("mnasnet1_0", "mnasnet_100", mnasnet(1.0)),
    torchvision("mnasnet1_3", mnasnet(1.3)),
    timm("mnasnet_140", mnasnet(1.4)),
    timm("mnasnet_small", MNASNET_SMALL),
    timm("semnasnet_050", semnasnet(0.5)),
    timm("semnasnet_075", semnasnet(0.75)),
    timm("semnasnet_100", semnasnet(1.0)),
    timm("semnasnet_140", semnasnet(1.4)),
    timm("spnasnet_100", SPNASNET),
    timm("lcnet_035", lcnet(0.35)),
    timm("lcnet_050", lcnet(0.5)),
    timm("lcnet_075", lcnet(0.75)),
    timm("lcnet_100", lcnet(1.0)),
    timm("lcnet_150", lcnet(1.5)),
    timm(
        "fbnetv3_b",
        fbnet_v3(
            &[
                "ds_r2_k3_s1_e1_c16",
                "ir_r1_k5_s2_e4_c24 ir_r3_k5_s1_e2_c24",
                "ir_r1_k5_s2_e5_c40_se0.25 ir_r4_k5_s1_e3_c40_se0.25",
                "ir_r1_k5_s2_e5_c72 ir_r4_k3_s1_e3_c72",
                "ir_r1_k3_s1_e5_c120_se0.25 ir_r5_k5_s1_e3_c120_se0.25",
                "ir_r1_k3_s2_e6_c184_se0.25 ir_r5_k5_s1_e4_c184_se0.25 ir_r1_k5_s1_e6_c224_se0.25",
                "cn_r1_k1_s1_c1344",
            ],
            16,
        ),
    ),
    timm(
        "fbnetv3_d",
        fbnet_v3(
            &[
                "ds_r2_k3_s1_e1_c16",
                "ir_r1_k3_s2_e5_c24 ir_r5_k3_s1_e2_c24",
                "ir_r1_k5_s2_e4_c40_se0.25 ir_r4_k3_s1_e3_c40_se0.25",
                "ir_r1_k3_s2_e5_c72 ir_r4_k3_s1_e3_c72",
                "ir_r1_k3_s1_e5_c128_se0.25 ir_r6_k5_s1_e3_c128_se0.25",
                "ir_r1_k3_s2_e6_c208_se0.25 ir_r5_k5_s1_e5_c208_se0.25 ir_r1_k5_s1_e6_c240_se0.25",
                "cn_r1_k1_s1_c1440",
            ],
            24,
        ),
    ),
    timm(
        "fbnetv3_g",
        fbnet_v3(
            &[
                "ds_r3_k3_s1_e1_c24",
                "ir_r1_k5_s2_e4_c40 ir_r4_k5_s1_e2_c40",
                "ir_r1_k5_s2_e4_c56_se0.25 ir_r4_k5_s1_e3_c56_se0.25",
                "ir_r1_k5_s2_e5_c104 ir_r4_k3_s1_e3_c104",
                "ir_r1_k3_s1_e5_c160_se0.25 ir_r8_k5_s1_e3_c160_se0.25",
                "ir_r1_k3_s2_e6_c264_se0.25 ir_r6_k5_s1_e5_c264_se0.25 ir_r2_k5_s1_e6_c288_se0.25",
                "cn_r1_k1_s1_c1728",
            ],
            32,
        ),
    ),
    both("efficientnet_b0", b0()),
    both("efficientnet_b1", b1()),
    both("efficientnet_b2", b2()),
    both("efficientnet_b3", b3()),
    both("efficientnet_b4", b4()),
    both("efficientnet_b5", b5()),
    both("efficientnet_b6", b6()),
    both("efficientnet_b7", b7()),
    timm("efficientnet_b8", b8()),
    timm("tf_efficientnet_b0", b0().tf()),
    timm("tf_efficientnet_b1", b1().tf()),
    timm("tf_efficientnet_b2", b2().tf()),
    timm("tf_efficientnet_b3", b3().tf()),
    timm("tf_efficientnet_b4", b4().tf()),
    timm("tf_efficientnet_b5", b5().tf()),
    timm("tf_efficientnet_b6", b6().tf()),
    timm("tf_efficientnet_b7", b7().tf()),
    timm("tf_efficientnet_b8", b8().tf()),
    timm("efficientnet_lite0", efficientnet_lite(1.0, &[1.0])),
    timm("efficientnet_lite1", efficientnet_lite(1.0, &[1.1])),
    timm("efficientnet_lite2", efficientnet_lite(1.1, &[1.2])),
    timm("efficientnet_lite3", efficientnet_lite(1.2, &[1.4])),
    timm("efficientnet_lite4", efficientnet_lite(1.4, &[1.8])),
    timm("tf_efficientnet_lite0", efficientnet_lite(1.0, &[1.0]).tf()),
    timm("tf_efficientnet_lite1", efficientnet_lite(1.0, &[1.1]).tf()),
    timm("tf_efficientnet_lite2", efficientnet_lite(1.1, &[1.2]).tf()),
    timm("tf_efficientnet_lite3", efficientnet_lite(1.2, &[1.4]).tf()),
    timm("tf_efficientnet_lite4", efficientnet_lite(1.4, &[1.8]).tf()),
    timm("efficientnet_es", efficientnet_edge(1.0, &[1.0])),
    timm("efficientnet_es_pruned", efficientnet_edge(1.0, &[1.0])),
    timm("efficientnet_em", efficientnet_edge(1.0, &[1.1])),
    timm("efficientnet_el", efficientnet_edge(1.2, &[1.4])),
    timm("efficientnet_el_pruned", efficientnet_edge(1.2, &[1.4])),
    timm("tf_efficientnet_es", efficientnet_edge(1.0, &[1.0]).tf()),
    timm("tf_efficientnet_em", efficientnet_edge(1.0, &[1.1]).tf()),
    timm("tf_efficientnet_el", efficientnet_edge(1.2, &[1.4]).tf()),
    timm("tinynet_a", tinynet(1.0, &[1.2])),
    timm("tinynet_b", tinynet(0.75, &[1.1])),
    timm("tinynet_c", tinynet(0.54, &[0.85])),
    timm("tinynet_d", tinynet(0.54, &[0.695])),
    timm("tinynet_e", tinynet(0.51, &[0.6])),
    named("efficientnet_v2_s", "efficientnetv2_s", efficientnet_v2(V2_S, 24, 0.2)),
    named("efficientnet_v2_m", "efficientnetv2_m", efficientnet_v2(V2_M, 24, 0.3)),
    named("efficientnet_v2_l", "efficientnetv2_l", efficientnet_v2(V2_L, 32, 0.4)),
    timm("efficientnetv2_xl", efficientnet_v2(V2_XL, 32, 0.0)),
    timm("efficientnetv2_rw_t", efficientnet_v2_rw(V2_S, 0.8, &[0.9], 1280)),
    timm("efficientnetv2_rw_s", efficientnet_v2_rw(V2_RW, 1.0, &[1.0], 1792)),
    timm("efficientnetv2_rw_m", efficientnet_v2_rw(V2_RW, 1.2, &[1.2, 1.2, 1.2, 1.2, 1.6, 1.6], 1792)),
    timm("tf_efficientnetv2_b0", efficientnet_v2_b(1.0, &[1.0]).tf()),
    timm("tf_efficientnetv2_b1", efficientnet_v2_b(1.0, &[1.1]).tf()),
    timm("tf_efficientnetv2_b2", efficientnet_v2_b(1.1, &[1.2]).tf()),
    timm("tf_efficientnetv2_b3", efficientnet_v2_b(1.2, &[1.4]).tf()),
    timm("tf_efficientnetv2_s", efficientnet_v2(V2_S, 24, 0.0).tf()),
    timm("tf_efficientnetv2_m", efficientnet_v2(V2_M, 24, 0.0).tf()),
    timm("tf_efficientnetv2_l", efficientnet_v2(V2_L, 32, 0.0).tf()),
    timm("tf_efficientnetv2_xl", efficientnet_v2(V2_XL, 32, 0.0).tf()),
];
