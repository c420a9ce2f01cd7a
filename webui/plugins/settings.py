"""The settings of one extension: what the user stored, completed and checked by what the extension declared."""

from __future__ import annotations

from typing import Any

from webui.core.errors import ParameterError, SetupError
from webui.core.settings import Settings
from webui.core.validating import validate

from .host import ExtensionHost


def extension_settings(settings: Settings, host: ExtensionHost, extension: str) -> dict[str, Any]:
    """The stored settings of an extension, completed by what it declared. Raises SetupError when they do not fit
    that.
    """
    values: dict[str, Any] = dict(settings.extensions.get(extension, {}))
    for name, spec in host.settings_specs.items():
        if host.owner_of("settings", name) != extension:
            continue
        given = {key: value for key, value in values.items() if key in spec.params.model_fields}
        try:
            values.update(validate(spec.params, given).model_dump())
        except ParameterError as error:
            raise SetupError(
                f"the settings of extension {extension!r} are wrong: {error}",
                hint=f"Mend them in the Extensions tab or in {settings.settings_path}.",
            ) from None
    return values
