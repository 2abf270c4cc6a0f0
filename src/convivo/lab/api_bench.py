"""View 1, the convolution bench: the page's numbers held against the layers of convivo."""

from starlette.routing import Route

routes: list[Route] = []
