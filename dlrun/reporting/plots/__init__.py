"""Pictures of runs. matplotlib is loaded here and nowhere else, by the modules that draw."""
