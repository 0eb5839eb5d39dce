"""Writes one model of every family of classifiers of torchvision and timm as ONNX, with random weights, for families.py.

Images are the smallest that a model accepts. The exporter of TorchScript writes it, or that of dynamo where the former cannot.

    pip install -r tests/keras/requirements-onnx-goldens.txt
    python tests/keras/export_families.py FOLDER [NAME...]
"""

import argparse
import io
import json
import logging
import pathlib
import warnings

import numpy as np
import timm
import torch
import torchvision

SIZES = [64, 96, 128, 160, 192, 224, 256]
OPSET = 17
# PyTorch's names; all of torchvision's families of classifiers.
TORCHVISION = [
    "alexnet", "convnext_tiny", "densenet121", "efficientnet_b0", "efficientnet_v2_s", "googlenet", "inception_v3",
    "maxvit_t", "mnasnet0_5", "mobilenet_v2", "mobilenet_v3_small", "regnet_x_400mf", "regnet_y_400mf", "resnet18",
    "resnext50_32x4d", "shufflenet_v2_x0_5", "squeezenet1_0", "squeezenet1_1", "swin_t", "swin_v2_t", "vgg11", "vit_b_32",
    "wide_resnet50_2",
]  # fmt: skip
# Of each family of timm the smallest model with released weights, and the towers of CLIP, SigLIP, DINOv2 and DINOv3.
TIMM = [
    "bat_resnext26ts", "beit3_base_patch16_224", "beit_base_patch16_224", "beitv2_base_patch16_224", "botnet26t_256",
    "caformer_s18", "cait_xxs24_224", "coat_lite_tiny", "coat_tiny", "coatnet_bn_0_rw_224", "coatnet_nano_rw_224",
    "coatnet_rmlp_nano_rw_224", "coatnext_nano_rw_224", "convformer_s18", "convit_tiny", "convmixer_768_32",
    "convnext_atto", "convnext_atto_ols", "convnext_zepto_rms", "convnext_zepto_rms_ols", "convnextv2_atto",
    "cpubone_nano", "crossvit_tiny_240", "cs3darknet_focus_s", "cs3darknet_m", "cs3edgenet_x", "cs3se_edgenet_x",
    "cs3sedarknet_l", "csatv2", "cspdarknet53", "cspnext_tiny", "cspresnet50", "cspresnext50", "darknet53",
    "darknetaa53", "davit_tiny", "deit3_small_patch16_224", "deit_tiny_distilled_patch16_224", "deit_tiny_patch16_224",
    "densenet121", "densenetblur121d", "dla46x_c", "dm_nfnet_f0", "dpn68", "eca_botnext26ts_256", "eca_halonext26ts",
    "eca_nfnet_l0", "eca_resnet33ts", "eca_resnext26ts", "ecaresnet26t", "ecaresnetlight", "edgenext_xx_small",
    "efficientformer_l1", "efficientformerv2_s0", "efficientnet_b0", "efficientnet_el_pruned", "efficientnet_es",
    "efficientnet_es_pruned", "efficientnet_lite0", "efficientnetv2_rw_t", "efficientvim_m1", "efficientvit_b0",
    "efficientvit_m0", "ese_vovnet19b_dw", "eva02_tiny_patch14_336", "fasternet_t0", "fastvit_ma36", "fastvit_mci0",
    "fastvit_sa12", "fastvit_t8", "fbnetc_100", "fbnetv3_b", "flexivit_small", "focalnet_tiny_srf",
    "gc_efficientnetv2_rw_t", "gcresnet33ts", "gcresnext26ts", "gcvit_xxtiny", "gernet_s", "ghostnet_100",
    "ghostnetv2_100", "gmixer_24_224", "gmlp_s16_224", "halo2botnet50ts_256", "halonet26t", "haloregnetz_b",
    "hardcorenas_b", "hgnet_tiny", "hgnetv2_b0", "hiera_small_abswin_256", "hiera_tiny_224", "hrnet_w18_small",
    "iformer_t", "inception_next_atto", "inception_resnet_v2", "inception_v3", "inception_v4", "lambda_resnet26t",
    "lamhalobotnet50ts_256", "lcnet_050", "lcnetv2_small", "legacy_seresnet18", "legacy_seresnext26_32x4d",
    "legacy_xception", "levit_128s", "levit_conv_128s", "lowformer_b0", "mambaout_femto", "maxvit_nano_rw_256",
    "maxvit_rmlp_pico_rw_256", "maxvit_tiny_tf_224", "maxxvit_rmlp_nano_rw_256", "maxxvitv2_nano_rw_256",
    "mixer_b16_224", "mixnet_s", "mnasnet_small", "mobilenet_edgetpu_v2_m", "mobilenetv2_050", "mobilenetv3_small_050",
    "mobilenetv4_conv_aa_large", "mobilenetv4_conv_blur_medium", "mobilenetv4_conv_small_050",
    "mobilenetv4_hybrid_medium", "mobileone_s1", "mobilevit_xxs", "mobilevitv2_050", "mvitv2_base_cls", "mvitv2_tiny",
    "naflexvit_base_patch16_parfac_gap", "nasnetalarge", "nest_tiny_jx", "nextvit_small", "nf_regnet_b1", "nf_resnet50",
    "nfnet_l0", "pit_ti_224", "pit_ti_distilled_224", "pit_xs_224", "pit_xs_distilled_224", "pnasnet5large",
    "poolformer_s12", "poolformerv2_s12", "pvt_v2_b0", "rdnet_tiny", "regnetv_040", "regnetx_002", "regnetz_b16",
    "repghostnet_050", "repvgg_a0", "repvit_m1", "res2net50_14w_8s", "res2next50", "resmlp_12_224", "resnest14d",
    "resnet10t", "resnet32ts", "resnetaa50", "resnetblur50", "resnetrs50", "resnetv2_18", "resnetv2_50x1_bit",
    "resnext26ts", "resnext50_32x4d", "rexnet_100", "rexnetr_200", "sebotnet33ts_256", "sehalonet33ts", "selecsls60",
    "semnasnet_075", "sequencer2d_s", "seresnet33ts", "seresnet50", "seresnext26t_32x4d", "seresnext26ts",
    "seresnextaa101d_32x8d", "shvit_s1", "skresnet18", "skresnext50_32x4d", "spnasnet_100", "starnet_s1",
    "swiftformer_xs", "swin_tiny_patch4_window7_224", "swinv2_cr_small_224", "swinv2_cr_tiny_ns_224",
    "swinv2_tiny_window16_256", "tf_efficientnet_b0", "tf_efficientnet_cc_b0_4e", "tf_efficientnet_es",
    "tf_efficientnet_lite0", "tf_efficientnetv2_b0", "tf_mixnet_s", "tf_mobilenetv3_small_075", "tiny_vit_5m_224",
    "tinynet_e", "tnt_s_legacy_patch16_224", "tresnet_m", "twins_pcpvt_small", "twins_svt_small", "visformer_tiny",
    "vit_base_mci_224", "vit_base_patch16_siglip_224", "vit_base_patch32_clip_quickgelu_224",
    "vit_dlittle_patch16_reg1_gap_256", "vit_mediumd_patch16_reg4_gap_256", "vit_mediumd_patch16_rope_reg1_gap_256",
    "vit_pe_core_tiny_patch16_384", "vit_relpos_small_patch16_224", "vit_small_patch14_reg4_dinov2",
    "vit_small_patch16_dinov3", "vit_small_patch16_rope_224", "vit_srelpos_small_patch16_224", "vit_tiny_patch16_224",
    "vit_tiny_r_s16_p8_224", "vitamin_small_224", "volo_d1_224", "wide_resnet50_2", "xception41p",
    "xcit_nano_12_p8_224",
]  # fmt: skip
# Their images must be as large as in the file: poolings that others export, and positions.
OWN_SIZE = {"alexnet": 224, "vgg11": 224, "swin_t": 224, "swin_v2_t": 224, "vit_b_32": 224, "maxvit_t": 224}


def enliven(model):
    """Statistics, scales and offsets of a new model are zeros and ones, which exporters leave out."""
    noise = torch.Generator().manual_seed(1)
    for tensor in [*model.parameters(), *model.buffers()]:
        if tensor.is_floating_point() and tensor.ndim <= 1 and tensor.numel() > 1:
            tensor.add_(0.1 * torch.rand(tensor.shape, generator=noise))
    return model.eval()


def built(source, name):
    torch.manual_seed(0)
    if source == "timm":
        model = enliven(timm.create_model(name))
        own = model.default_cfg["input_size"][-1]
        return model, [own] if model.default_cfg.get("fixed_input_size") else [*SIZES, own]
    settings = {"aux_logits": True, "init_weights": False} if name in ("inception_v3", "googlenet") else {}
    model = enliven(torchvision.models.get_model(name, weights=None, **settings))
    return model, [OWN_SIZE[name]] if name in OWN_SIZE else [*SIZES, 299]


def computed(model, sizes):
    """The smallest images that are accepted, and what becomes of them."""
    for size in sizes:
        images = torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(2))
        try:
            output = model(images)
        except Exception as error:  # whatever a model says of images that are too small
            reason = error
            continue
        if torch.isfinite(output).all():
            return images, output
    raise reason


def exported(model, images):
    names = {"input_names": ["input"], "output_names": ["output"]}
    try:
        file = io.BytesIO()
        axes = {"input": {0: "batch"}, "output": {0: "batch"}}
        torch.onnx.export(model, (images,), file, dynamo=False, opset_version=OPSET, dynamic_axes=axes, **names)
        return file.getvalue(), "TorchScript"
    except Exception:  # what it cannot do has many names
        batch = ({0: torch.export.Dim("batch")},)
        program = torch.onnx.export(model, (images,), dynamo=True, dynamic_shapes=batch, verbose=False, **names)
        return program.model_proto.SerializeToString(), "dynamo"


def write(folder, source, name):
    stem = f"{source}-{name}"
    if (folder / f"{stem}.json").exists():
        return
    record = {"source": source, "name": name}
    try:
        model, sizes = built(source, name)
        images, output = computed(model, sizes)
        record["parameters"] = sum(weight.numel() for weight in model.parameters())
        record["size"] = images.shape[-1]
        data, record["exporter"] = exported(model, images)
        np.savez(folder / f"{stem}.npz", input=images.numpy(), output=output.numpy())
        (folder / f"{stem}.onnx").write_bytes(data)
    except Exception as error:  # the others are exported all the same
        record["failed"] = f"{type(error).__name__}: {error}".splitlines()[0][:200]
    (folder / f"{stem}.json").write_text(json.dumps(record))
    print(json.dumps(record), flush=True)


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("folder", type=pathlib.Path)
    arguments.add_argument("names", nargs="*", help="as in the table; all families without")
    given = arguments.parse_args()
    warnings.filterwarnings("ignore")
    logging.disable(logging.WARNING)
    torch.set_num_threads(1)
    given.folder.mkdir(parents=True, exist_ok=True)
    every = [("torchvision", name) for name in TORCHVISION] + [("timm", name) for name in TIMM]
    every = [(source, name) for source, name in every if not given.names or name in given.names]
    with torch.no_grad():
        for source, name in every:
            write(given.folder, source, name)


if __name__ == "__main__":
    main()
