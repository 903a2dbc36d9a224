"""The section `[encoders]` of the settings."""

from __future__ import annotations

from typing import Literal, Self, get_args

import dagster as dg
from pydantic import Field, ValidationInfo, field_validator, model_validator

from assets.settings.folder import Folder
from models import encoders

_PROFILE_OF = "Encoder of {} instead of the profile's, for example `paper`. Unset: the profile's."


class Encoders(dg.Config):
    """Which encoders embed and caption: a profile for all roles, or one per role (docs/encoders.md)."""

    profile: Literal["handcrafted", "tiny", "paper"] = Field("handcrafted", description="Set of encoders.")
    visual_profile: str | None = Field(None, description=_PROFILE_OF.format("frames"))
    acoustic_profile: str | None = Field(None, description=_PROFILE_OF.format("sound"))
    text_profile: str | None = Field(None, description=_PROFILE_OF.format("texts"))
    captions_profile: str | None = Field(None, description=_PROFILE_OF.format("captions of frames"))
    sounds_profile: str | None = Field(None, description=_PROFILE_OF.format("descriptions of sound"))
    visual: str | None = Field(
        None, description="Checkpoint instead of the papers' ViT: a folder, a hub name, or one with `@revision`."
    )
    acoustic: str | None = Field(None, description="Checkpoint instead of the papers' AST.")
    text: str | None = Field(None, description="Checkpoint instead of the papers' AnglE.")
    captions: str | None = Field(None, description="Checkpoint instead of the papers' BLIP-2.")
    sounds: str | None = Field(None, description="Checkpoint instead of the papers' CLAP.")
    revision: str | None = Field(
        None, description="Hub revision of the checkpoints named above that have none of their own."
    )
    text_prompt: str | None = Field(
        None, description="Put around texts for the retrieval vectors, at its `{text}`; UAE's is in docs/encoders.md."
    )
    vocabulary: str | None = Field(
        None, description="File of descriptions of sound, one a line, instead of AudioSet's classes."
    )
    text_backend: Literal["transformers", "angle-emb"] = Field(
        "transformers", description="Library that runs AnglE; `angle-emb` is the extra `angle`."
    )
    captions_backend: Literal["transformers", "lavis"] = Field(
        "transformers", description="Library that runs BLIP-2; for `lavis`: reelcast environment lavis."
    )
    sounds_backend: Literal["transformers", "laion-clap"] = Field(
        "transformers", description="Library that runs CLAP; for `laion-clap`: reelcast environment laion-clap."
    )
    environments: Folder = Field(
        ".environments", description="Folder of the environments that `reelcast environment` makes."
    )
    device: str = Field("auto", description="`auto` (every GPU there is, else the CPU), `cpu`, `cuda` or `cuda:N`.")
    dtype: Literal["float32", "bfloat16", "float16"] = Field(
        "float32", description="Number format of weights and activations; bfloat16 for a GPU. It changes the output."
    )
    attention: Literal["auto", "eager", "sdpa", "flash_attention_2"] = Field(
        "auto", description="Attention kernel. `auto` is the library's choice."
    )
    compile: bool = Field(
        False, description="Make kernels with torch.compile: minutes at start, for long runs on a GPU."
    )
    batch_size: int | None = Field(
        None, ge=1, description="Inputs at once. Unset: the fastest, found at start on a GPU; a fixed number on a CPU."
    )
    loaders: int | None = Field(
        None,
        ge=0,
        description="Processes that decode and prepare ahead of the encoder, 0 for none. Unset: one a core for a GPU; "
        "for `handcrafted` run.workers from 400 videos on.",
    )
    repeated_frame_bits: int | None = Field(
        None,
        ge=0,
        le=32,
        description="Frames of a video whose hashes differ by at most this many of 64 bits share a caption. Unset: none.",
    )
    allow_download: bool = Field(False, description="Fetch a missing checkpoint from the hub.")

    @field_validator("text_prompt")
    @classmethod
    def _place_for_the_text(cls, prompt: str | None) -> str | None:
        if prompt is not None and "{text}" not in prompt:
            raise ValueError(f"it must hold {{text}}, where the text goes; got {prompt!r}")
        return prompt

    @field_validator("device")
    @classmethod
    def _known_device(cls, device: str) -> str:
        if device not in ("auto", "cpu", "cuda") and not (device.startswith("cuda:") and device[5:].isdigit()):
            raise ValueError(f"auto, cpu, cuda and cuda:N are allowed; got {device!r}")
        return device

    @field_validator("visual_profile", "acoustic_profile", "text_profile", "captions_profile", "sounds_profile")
    @classmethod
    def _known_profile(cls, profile: str | None, info: ValidationInfo) -> str | None:
        allowed = encoders.profiles(info.field_name.removesuffix("_profile"))
        if profile is not None and profile not in allowed:
            raise ValueError(f"{', '.join(allowed)} are allowed; got {profile!r}")
        return profile

    @model_validator(mode="after")
    def _options_of_the_chosen_encoders(self) -> Self:
        checkpoints = [role for role in get_args(encoders.Role) if getattr(self, role) is not None]
        for role in checkpoints:
            if self.profile_of(role) != "paper":
                raise ValueError(f"{role}: a checkpoint goes with profile = 'paper', not {self.profile_of(role)!r}")
        options = {f"{role}_backend": role for role in ("text", "captions", "sounds")}
        options |= {"text_prompt": "text", "vocabulary": "sounds"}
        for option, role in options.items():
            profile = self.profile_of(role)
            if getattr(self, option) not in (None, "transformers") and profile not in encoders.PRETRAINED:
                raise ValueError(f"{option}: this goes with profile = 'paper' or 'tiny' for {role}, not {profile!r}")
        if self.revision is not None and not checkpoints:
            raise ValueError(
                "revision goes with a checkpoint that is named: visual, acoustic, text, captions or sounds"
            )
        return self

    def profile_of(self, role: encoders.Role) -> encoders.Profile:
        """Return the profile of a role's encoder: the role's own, or that of all roles."""
        return getattr(self, f"{role}_profile") or self.profile
