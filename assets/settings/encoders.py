"""The section `[encoders]` of the settings."""

from __future__ import annotations

from typing import Literal, Self, get_args

import dagster as dg
from pydantic import Field, ValidationInfo, field_validator, model_validator

from assets.settings.folder import Folder
from models import encoders

_PROFILE_OF = "Profile for {} alone, for example `paper`. Unset: `profile`."


class Encoders(dg.Config):
    """The encoders that embed and caption: one profile for all roles, or one per role (docs/encoders.md)."""

    profile: Literal["handcrafted", "light", "tiny", "paper"] = Field(
        "handcrafted",
        description="Set of encoders for all roles. `light`: word vectors for texts (extra `light`), and `handcrafted` for all "
        "other roles.",
    )
    visual_profile: str | None = Field(None, description=_PROFILE_OF.format("the frames' encoder"))
    acoustic_profile: str | None = Field(None, description=_PROFILE_OF.format("the sound's encoder"))
    text_profile: str | None = Field(None, description=_PROFILE_OF.format("the texts' encoder"))
    captions_profile: str | None = Field(None, description=_PROFILE_OF.format("the frames' captions"))
    sounds_profile: str | None = Field(None, description=_PROFILE_OF.format("the sound's descriptions"))
    visual: str | None = Field(
        None, description="Checkpoint instead of the papers' ViT: a folder, a hub name, or a hub name with `@revision`."
    )
    acoustic: str | None = Field(None, description="Checkpoint instead of the papers' AST.")
    text: str | None = Field(None, description="Checkpoint instead of the papers' AnglE.")
    captions: str | None = Field(None, description="Checkpoint instead of the papers' BLIP-2.")
    sounds: str | None = Field(None, description="Checkpoint instead of the papers' CLAP.")
    revision: str | None = Field(None, description="Hub revision of the checkpoints above that name none.")
    text_prompt: str | None = Field(
        None,
        description="Prompt for the retrieval vectors; `{text}` stands for the text. docs/encoders.md gives UAE's prompt.",
    )
    vocabulary: str | None = Field(
        None, description="File with one description of sound per line, used instead of AudioSet's classes."
    )
    text_backend: Literal["transformers", "angle-emb"] = Field(
        "transformers", description="Library that runs AnglE. `angle-emb` needs the extra `angle`."
    )
    captions_backend: Literal["transformers", "lavis"] = Field(
        "transformers", description="Library that runs BLIP-2. `lavis` needs `reelcast environment lavis` first."
    )
    sounds_backend: Literal["transformers", "laion-clap"] = Field(
        "transformers",
        description="Library that runs CLAP. `laion-clap` needs `reelcast environment laion-clap` first.",
    )
    environments: Folder = Field(
        ".environments", description="Folder of the environments that `reelcast environment` creates."
    )
    device: str = Field(
        "auto", description="`auto` (all GPUs, or the CPU if there is none), `cpu`, `cuda` or `cuda:N`."
    )
    dtype: Literal["float32", "bfloat16", "float16"] = Field(
        "float32",
        description="Number format of weights and activations. Use bfloat16 on a GPU for speed; the output changes.",
    )
    attention: Literal["auto", "eager", "sdpa", "flash_attention_2"] = Field(
        "auto", description="Attention kernel. `auto`: the library's choice."
    )
    compile: bool = Field(
        False, description="Compile with torch.compile. It costs minutes at start and pays off in long runs on a GPU."
    )
    batch_size: int | None = Field(
        None,
        ge=1,
        description="Inputs per batch. Unset: on a GPU the fastest size, measured at start; on a CPU a fixed size.",
    )
    loaders: int | None = Field(
        None,
        ge=0,
        description="Processes that decode and prepare inputs for the encoder; 0: none. Unset: one per core with a GPU; "
        "run.workers with `handcrafted` and 400 videos or more.",
    )
    repeated_frame_bits: int | None = Field(
        None,
        ge=0,
        le=32,
        description="Frames of a video share a caption if their hashes differ in at most this many of 64 bits. Unset: never.",
    )
    allow_download: bool = Field(False, description="Download missing checkpoints from the hub.")

    @field_validator("text_prompt")
    @classmethod
    def _place_for_the_text(cls, prompt: str | None) -> str | None:
        if prompt is not None and "{text}" not in prompt:
            raise ValueError(f"the prompt must contain {{text}}, the place of the text; got {prompt!r}")
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
                raise ValueError(f"{role}: a checkpoint needs profile = 'paper'; got {self.profile_of(role)!r}")
        options = {f"{role}_backend": role for role in ("text", "captions", "sounds")}
        options |= {"text_prompt": "text", "vocabulary": "sounds"}
        for option, role in options.items():
            profile = self.profile_of(role)
            if getattr(self, option) not in (None, "transformers") and profile not in encoders.PRETRAINED:
                raise ValueError(f"{option}: this needs profile = 'paper' or 'tiny' for {role}; got {profile!r}")
        if self.revision is not None and not checkpoints:
            raise ValueError(
                "revision needs a checkpoint: set at least one of visual, acoustic, text, captions and sounds"
            )
        return self

    def profile_of(self, role: encoders.Role) -> encoders.Profile:
        """Return the profile of a role's encoder: the role's own if set, else `profile`, else `handcrafted`.

        `light` has an encoder of texts alone.

        Example:
            >>> light = Encoders(profile="light")
            >>> light.profile_of("text"), light.profile_of("visual")
            ('light', 'handcrafted')
        """
        shared = self.profile if self.profile in encoders.profiles(role) else "handcrafted"
        return getattr(self, f"{role}_profile") or shared
