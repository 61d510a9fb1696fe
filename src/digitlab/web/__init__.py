"""The page and its HTTP API, over the services that the command line uses too. Nothing here trains or judges.

`serving` finds a port and runs the server; `app` puts it together. `security` stands before everything else:
who may ask, for what, how much (`limits`). `pages` holds the page's files, `sockets` tells every open page
what happens, `schema` says what the answers look like, `errors` makes sentences of what went wrong,
`reference` is the page about the API; below `api` is a router for each subject.
"""
