"""ONNX graphs: the only part of engine that runs them.

- ``manifest``: what a graph file says about itself: inputs, outputs, state, facts of the model, licence.
- ``facts``: the facts of a manifest read with their types checked.
- ``metadata``: the manifest read from a file without loading the graph.
- ``graph``: a loaded graph as a function: (inputs, state) to outputs, with the state updated in place.
"""
