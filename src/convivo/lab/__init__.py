"""The lab: a web page on this machine that shows what a convolution, a network, a gradient does.

`convivo lab` starts it. One server process answers; one worker process computes with the layers of
convivo, so that the page stays alive; the page itself is plain ES modules, without a build step.

server.py     the app, its routes, and `run`, which the command line calls
security.py   who may ask: one-time token -> cookie, Host, Origin; headers of every answer
answers.py    JSON and .npy out; a refusal is {"error": {"code", "message", "hint"}}
parameters.py strict reading of what the page asks
store.py      arrays by random id, in a private folder that is gone when the lab ends
intake.py     a foreign file -> float32 array, in a child process with limits
samples.py    arrays made by seed    roots.py   files in the folders of the command line, by id
worker.py     the one process that computes    api_*.py   one file a view: its routes

A view is two files. `api_NAME.py` exports `routes`, a list of Starlette routes, and is named once,
in `server.VIEWS`. An endpoint gets at everything through `request.app.state.lab`:

    lab.store.path(id), lab.store.card(id)     an array (C, *S) as .npy, and what is known of it
    await lab.compute(function, *arguments)    a function of a module, called in the worker: it
                                               gets paths, not arrays, and returns plain values
    answers.document(value), answers.array(x)  what goes back

Reading of the body: `await parameters.body(request)`, whose methods check one value each; a
`ConvivoError` or a `Refusal` raised anywhere becomes the JSON of an error.

`static/views/NAME.js` exports the other half and is named once, in `app.js`, where the interface
stands at the top. Mathematics that must answer the pointer at once is repeated in `static/ops/`,
pure functions of typed arrays, and held against the layers on the page itself.
"""
