"""Several processes that serve one port: each worker is a whole node, and a parent keeps them.

`crew` is the parent's side: it starts workers, restarts them, and ends them. `berth` is a worker's:
what it knows of the others. They tell each other lines of JSON, which are in `model`. `siblings` is
how one worker answers for all, where a question is for the whole server.
"""
