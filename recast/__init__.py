"""recast: expert demonstrations turned into supervision that the model being trained could have written itself."""
