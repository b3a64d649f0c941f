"""Networks from transformers, tiny and random; sides and counts were read in their modelling files."""

import torch
from case import Built, Case, identity
from torch import Tensor

FOUR = {"hidden_size": 8, "intermediate_size": 12, "num_hidden_layers": 2, "num_attention_heads": 2}
KINDS = {"GPT2": "GPT2LMHeadModel"}
TOKENS = {"vocab_size": 11, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}


def decoder(name: str, dtype: torch.dtype = torch.float64, **config: object) -> Built:
    import transformers

    settings = getattr(transformers, f"{name}Config")(**TOKENS, **config)
    model = getattr(transformers, KINDS.get(name, f"{name}ForCausalLM"))(settings).to(dtype).train()
    x = torch.randn(2, 5, settings.hidden_size, dtype=dtype, requires_grad=True)
    return model, x, lambda: model(inputs_embeds=x, labels=torch.arange(10).view(2, 5)).loss


def features(model: torch.nn.Module, shape: tuple[int, ...], entry: str, **others: object) -> Built:
    """A random reading of the last hidden state."""
    model = model.double().train()
    x = torch.randn(*shape, dtype=torch.float64, requires_grad=True)

    def run() -> Tensor:
        y = model(**{entry: x}, **others).last_hidden_state
        return (y * torch.randn_like(y)).sum()

    return model, x, run


def encoder(name: str, *shape: int, **config: object) -> Built:
    import transformers

    model = getattr(transformers, f"{name}Model")(getattr(transformers, f"{name}Config")(**config))
    return features(model, shape, "inputs_embeds" if len(shape) == 3 else "pixel_values")


def seq2seq(name: str, shared: bool, **config: object) -> Built:
    """An encoder and a decoder, whose own input either is a piece of x as well or tokens."""
    import transformers

    model = getattr(transformers, f"{name}Model")(getattr(transformers, f"{name}Config")(**config))
    if not shared:
        return features(model, (2, 5, 8), "inputs_embeds", decoder_input_ids=torch.arange(6).view(2, 3))
    model, x, _ = features(model, (2, 5, 8), "inputs_embeds")

    def run() -> Tensor:
        y = model(inputs_embeds=x, decoder_inputs_embeds=x[:, :3]).last_hidden_state
        return (y * torch.randn_like(y)).sum()

    return model, x, run


T5 = {"vocab_size": 11, "d_model": 8, "d_kv": 4, "d_ff": 12, "num_layers": 2, "num_heads": 2}
BART = {"vocab_size": 11, "d_model": 8, "encoder_layers": 2, "decoder_layers": 2, "max_position_embeddings": 16} | {
    f"{side}_{what}": n for side in ("encoder", "decoder") for what, n in (("attention_heads", 2), ("ffn_dim", 12))
}
GROUPED = {"num_key_value_heads": 1}
EXPERTS = {
    "moe_intermediate_size": 8,
    "shared_expert_intermediate_size": 8,
    "num_experts": 3,
    "num_experts_per_tok": 2,
} | GROUPED


def layers(prefix: str, *parts: str, side: int = 1, count: int = 2) -> list[tuple[str, int, str]]:
    return identity(*(f"{prefix}.{l}{part}" for l in range(count) for part in parts), side=side)


def ends(**last: str):
    """The module that closes a branch, by the last part of the block's name."""
    return lambda name: f"{name}.{last[name.split('.')[-1]]}" if name.split(".")[-1] in last else ""


LLAMA = ends(self_attn="o_proj", mlp="down_proj")
T5_ENDS = ends(SelfAttention="o", EncDecAttention="o", DenseReluDense="wo")
T5_ENCODER = identity(
    *(
        f"encoder.block.{l}.layer.{k}.{part}"
        for l in range(2)
        for k, part in enumerate(("SelfAttention", "DenseReluDense"))
    )
)
T5_DECODER = [
    identity(
        *(
            f"decoder.block.{l}.layer.{k}.{part}"
            for k, part in enumerate(("SelfAttention", "EncDecAttention", "DenseReluDense"))
        )
    )
    for l in range(2)
]


def bart_ends(name: str) -> str:
    return f"{name}.out_proj" if name.endswith("attn") else f"{name}.fc2"


def table() -> dict[str, Case]:
    needs = ("transformers",)
    return {
        "BERT": Case(
            lambda: encoder("Bert", 2, 5, 8, vocab_size=11, **FOUR),
            layers("encoder.layer", ".attention", "", side=0),
            weights=12,
            exits="{}.output.dense".format,
            needs=needs,
        ),
        "DeBERTa-v2": Case(
            lambda: encoder(
                "DebertaV2", 2, 5, 8, vocab_size=11, relative_attention=True, pos_att_type=["p2c", "c2p"], **FOUR
            ),
            layers("encoder.layer", ".attention", "", side=0),
            exits="{}.output.dense".format,
            needs=needs,
        ),
        "ViT": Case(
            lambda: encoder("ViT", 2, 3, 8, 8, image_size=8, patch_size=4, **FOUR),
            layers("layers", ".attention", ".mlp", side=0),
            weights=13,
            exits=ends(attention="o_proj", mlp="fc2"),
            needs=needs,
        ),
        "Swin": Case(
            lambda: encoder(
                "Swin",
                *(2, 3, 16, 16),
                image_size=16,
                patch_size=2,
                embed_dim=4,
                depths=[2, 2],
                num_heads=[2, 2],
                window_size=4,
            ),
            [
                (f"encoder.layers.{k}.blocks.{l}.{part}", side, "identity")
                for k in range(2)
                for l in range(2)
                for part, side in (("attention", 1), ("mlp", 0))
            ],
            weights=26,  # embedding, 4 blocks of 6, one merging of patches
            exits=ends(attention="o_proj", mlp="fc2"),
            needs=needs,
        ),
        "ConvNeXt": Case(
            lambda: encoder("ConvNext", 2, 3, 32, 32, hidden_sizes=[4, 6], depths=[2, 2], num_stages=2),
            identity(*(f"encoder.stages.{k}.layers.{l}" for k in range(2) for l in range(2))),
            weights=14,
            exits="{}.pwconv2".format,
            needs=needs,
        ),
        "ResNet": Case(
            lambda: encoder("ResNet", 2, 3, 32, 32, embedding_size=4, hidden_sizes=[8, 12], depths=[2, 2]),
            [
                (f"encoder.stages.{k}.layers.{l}.layer", 0, "identity" if l else "projected")
                for k in range(2)
                for l in range(2)
            ],
            weights=15,
            exits="{}.2.convolution".format,
            needs=needs,
        ),
        "T5": Case(  # the decoder reads x before the encoder is done
            lambda: seq2seq("T5", shared=True, **T5),
            T5_DECODER[0][:1] + T5_ENCODER + T5_DECODER[0][1:] + T5_DECODER[1],
            weights=32,
            error=1e-6,  # its norms work in float32
            exits=T5_ENDS,
            needs=needs,
        ),
        "T5 from tokens": Case(  # the first attentions of the decoder have no shortcut that leads to x
            lambda: seq2seq("T5", shared=False, **T5),
            T5_ENCODER + T5_DECODER[0][2:] + T5_DECODER[1],
            weights=28,  # the first query, made of parameters, contracts the keys
            error=1e-6,
            exits=T5_ENDS,
            needs=needs,
        ),
        "BART from tokens": Case(
            lambda: seq2seq("Bart", shared=False, **BART),
            layers("encoder.layers", ".self_attn", "")
            + identity(
                "decoder.layers.0", *(f"decoder.layers.1{part}" for part in (".self_attn", ".encoder_attn", ""))
            ),
            weights=27,
            exits=bart_ends,
            opaque=("ScaledDotProductFlashAttentionForCpu",),  # the same query, inside a fused attention
            needs=needs,
        ),
        "GPT-2": Case(
            lambda: decoder("GPT2", n_embd=8, n_layer=2, n_head=2, n_positions=8),
            [
                (f"transformer.h.{l}.{part}", side, "identity")
                for l in range(2)
                for side, part in enumerate(("attn", "mlp"))
            ],
            weights=9,
            exits="{}.c_proj".format,
            needs=needs,
        ),
        "Llama": Case(
            lambda: decoder("Llama", **FOUR, **GROUPED),
            layers("model.layers", ".self_attn", ".mlp"),
            weights=15,
            error=1e-6,  # norms in float32, here and below
            exits=LLAMA,
            needs=needs,
        ),
        "OLMo-2": Case(  # the norms stand behind the branches
            lambda: decoder("Olmo2", **FOUR, **GROUPED),
            layers("model.layers", ".self_attn", ".mlp"),
            weights=15,
            error=1e-6,
            exits=LLAMA,
            needs=needs,
        ),
        "Cohere": Case(  # (residual + attention) + mlp: two branches side by side
            lambda: decoder("Cohere", **FOUR, **GROUPED),
            layers("model.layers", ".self_attn", ".mlp"),
            weights=15,
            error=1e-6,
            exits=LLAMA,
            needs=needs,
        ),
        "GPT-NeoX": Case(  # (mlp + attention) + x: two parallel functions on one branch
            lambda: decoder("GPTNeoX", use_parallel_residual=True, **FOUR),
            layers("gpt_neox.layers", "", side=0),
            weights=9,
            exits="{0}.attention.dense {0}.mlp.dense_4h_to_h".format,
            needs=needs,
        ),
        "Qwen2-MoE": Case(  # each expert that is used counts by itself
            lambda: decoder("Qwen2Moe", experts_implementation="eager", **FOUR, **EXPERTS),
            layers("model.layers", ".self_attn", ".mlp"),
            weights=31,
            error=1e-6,
            exits=lambda name: f"{name}.o_proj" if name.endswith("attn") else name,
            needs=needs,
        ),
        "Qwen2-MoE, grouped": Case(  # the experts' weights are one operation, which takes no float64
            lambda: decoder("Qwen2Moe", torch.float32, **FOUR, **EXPERTS),
            layers("model.layers", ".self_attn", ".mlp"),
            weights=23,
            error=1e-5,
            exits=lambda name: f"{name}.o_proj" if name.endswith("attn") else name,
            needs=needs,
        ),
        "Mamba": Case(  # scan + D·u: its authors' "D skip connection" is an inner block, around the selective scan
            lambda: decoder("Mamba", hidden_size=8, state_size=3, num_hidden_layers=2, time_step_rank=2),
            [
                block
                for l in range(2)
                for block in (
                    (f"backbone.layers.{l}.mixer.x_proj+dt_proj", 0, "identity"),
                    (f"backbone.layers.{l}.mixer", 1, "identity"),
                )
            ],
            weights=11,
            error=1e-6,
            exits=lambda name: name if name.endswith("mixer") else "",  # the scan reads u directly too
            needs=needs,
        ),
    }


CASES = table()
