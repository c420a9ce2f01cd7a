"""From a file, folder or hub id to the components of a model, and the facts about its pipeline class."""
