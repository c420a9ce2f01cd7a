"""Colours, type and spacing of the page, given to Gradio when it is mounted; ``static/lifelike.css`` goes on from
here.
"""

from __future__ import annotations

from typing import Any

import gradio as gr
from gradio.themes.utils import colors, sizes

PINE = colors.Color(
    name="pine",
    c50="#effaf6", c100="#d5f2e7", c200="#aee4d1", c300="#7acfb6", c400="#46b296", c500="#23967c",
    c600="#147a65", c700="#116253", c800="#124e44", c900="#114039", c950="#062521",
)  # fmt: skip
"""The accent. White on c600 has a contrast of 5.3, c300 on the dark background one of 9.7."""

STONE = colors.Color(
    name="stone",
    c50="#fafaf8", c100="#f3f3f0", c200="#e6e6e1", c300="#d3d3cc", c400="#a3a39b", c500="#73736c",
    c600="#575751", c700="#3d3d39", c800="#252624", c900="#181917", c950="#101110",
)  # fmt: skip
"""Greys that stay neutral beside a picture."""

_FONTS = (
    "ui-sans-serif",
    "system-ui",
    "-apple-system",
    "Segoe UI",
    "Noto Sans SC",
    "PingFang SC",
    "Microsoft YaHei",
    "sans-serif",
)
_MONO = ("ui-monospace", "SF Mono", "Cascadia Mono", "DejaVu Sans Mono", "monospace")


def make_theme() -> Any:
    """A Gradio theme whose fonts are the machine's own: nothing is fetched."""
    theme = gr.themes.Base(
        primary_hue=PINE,
        secondary_hue=STONE,
        neutral_hue=STONE,
        spacing_size=sizes.spacing_md,
        radius_size=sizes.radius_md,
        text_size=sizes.text_md,
        font=list(_FONTS),
        font_mono=list(_MONO),
    )
    return theme.set(
        body_background_fill="#f6f6f3",
        body_background_fill_dark="#131413",
        body_text_color="#22231f",
        body_text_color_dark="#e9e9e4",
        body_text_color_subdued="#63635c",
        body_text_color_subdued_dark="#a5a59d",
        background_fill_primary="#ffffff",
        background_fill_primary_dark="#1b1c1b",
        background_fill_secondary="#f3f3f0",
        background_fill_secondary_dark="#222322",
        border_color_primary="#e2e2dc",
        border_color_primary_dark="#30312f",
        block_background_fill="transparent",
        block_background_fill_dark="transparent",
        block_border_width="0px",
        block_shadow="none",
        block_padding="0px",
        block_label_background_fill="transparent",
        block_label_background_fill_dark="transparent",
        block_label_border_width="0px",
        block_label_text_color="*body_text_color",
        block_title_text_color="*body_text_color",
        block_title_text_weight="500",
        block_title_text_size="*text_sm",
        block_info_text_color="*body_text_color_subdued",
        block_info_text_size="*text_xs",
        input_background_fill="#ffffff",
        input_background_fill_dark="#191a19",
        input_border_color="#d9d9d2",
        input_border_color_dark="#383937",
        input_border_color_focus="*primary_600",
        input_border_color_focus_dark="*primary_400",
        input_border_width="1px",
        input_radius="8px",
        input_shadow="none",
        input_shadow_focus="0 0 0 3px #23967c33",
        input_shadow_focus_dark="0 0 0 3px #23967c4d",
        input_placeholder_color="#85857d",
        input_placeholder_color_dark="#7c7c75",
        button_primary_background_fill="*primary_600",
        button_primary_background_fill_dark="*primary_600",
        button_primary_background_fill_hover="*primary_700",
        button_primary_background_fill_hover_dark="#178570",
        button_primary_text_color="#ffffff",
        button_primary_text_color_dark="#ffffff",
        button_primary_border_color="transparent",
        button_primary_border_color_dark="transparent",
        button_secondary_background_fill="#ffffff",
        button_secondary_background_fill_dark="#242524",
        button_secondary_background_fill_hover="#f0f0ec",
        button_secondary_background_fill_hover_dark="#2e2f2d",
        button_secondary_border_color="#d9d9d2",
        button_secondary_border_color_dark="#3b3c39",
        button_large_radius="*radius_lg",
        button_large_text_weight="600",
        slider_color="*primary_600",
        slider_color_dark="*primary_500",
        checkbox_background_color_selected="*primary_600",
        checkbox_background_color_selected_dark="*primary_600",
        checkbox_border_color_selected="*primary_600",
        checkbox_border_color_selected_dark="*primary_600",
        link_text_color="*primary_700",
        link_text_color_dark="*primary_300",
        loader_color="*primary_500",
    )
