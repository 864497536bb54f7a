"""A model with settings that the config of a call may change."""

from copy import copy
from typing import Any

from langchain_core.language_models import LanguageModelInput
from langchain_core.messages import AIMessage
from langchain_core.runnables import Runnable
from langchain_core.runnables.configurable import RunnableConfigurableFields


class ConfigurableModel(RunnableConfigurableFields):  # type: ignore[type-arg]
    """What `ChatQwenSpace.configurable_fields` returns.

    LangChain's own class binds tools and schemas to the original model, so the config of a call has
    no effect. This one binds them to the configured model.
    """

    def bind_tools(self, *args: Any, **kwargs: Any) -> Runnable[LanguageModelInput, AIMessage]:
        """As `ChatQwenSpace.bind_tools`."""
        return self._binding_here().bind_tools(*args, **kwargs)  # type: ignore[no-any-return]

    def with_structured_output(
        self, *args: Any, **kwargs: Any
    ) -> Runnable[LanguageModelInput, Any]:
        """As `ChatQwenSpace.with_structured_output`."""
        return self._binding_here().with_structured_output(*args, **kwargs)  # type: ignore[no-any-return]

    def _binding_here(self) -> Any:
        """The model as it was made, of its own class, except that `bind` binds to this object."""
        model = copy(self.default)
        vars(model)["bind"] = self.bind
        return model

    @classmethod
    def lc_id(cls) -> list[str]:
        """`dumps` saves it as LangChain's own class, which `loads` knows."""
        return RunnableConfigurableFields.lc_id()
