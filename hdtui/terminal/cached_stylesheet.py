"""The stylesheet of the cockpit: what was parsed stays parsed while its variables do."""

from textual.css.stylesheet import Stylesheet


class CachedStylesheet(Stylesheet):
    """Textual parses every style again for each screen that opens: a tenth of a second a key."""

    def set_variables(self, variables: dict[str, str]) -> None:
        """Set the variables; those that stay leave what was parsed as it is."""
        if variables != self._variables:
            super().set_variables(variables)

    def reparse(self) -> None:
        """Parse what is new since the last time, or all of it for other variables."""
        self.parse()
