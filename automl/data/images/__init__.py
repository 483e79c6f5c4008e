"""Files of images: where they are, how large, and their pixels. Nothing here knows of data sets."""
