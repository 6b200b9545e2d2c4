"""Tables of real files, as the tests of windows read them."""

from windows.conftest import release_5  # noqa: F401  a fixture
