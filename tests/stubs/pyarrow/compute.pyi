# Its functions are made when it is imported, from a table inside the library.

from typing import Any

def __getattr__(name: str) -> Any: ...
