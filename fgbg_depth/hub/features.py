"""The features in a card's YAML block: the schema of a published version, without opening a Parquet file."""


def features_of(metadata):
    """The features of each config.

    Args:
        metadata: a card's YAML block as a dict.

    Returns:
        {config: {column: its feature as text}}; {} when the card tells none. The order of the columns counts.
    """
    infos = metadata.get("dataset_info") or []
    infos = [infos] if isinstance(infos, dict) else infos
    found = {}
    for info in infos:
        if isinstance(info, dict) and isinstance(info.get("features"), list):
            columns = [c for c in info["features"] if isinstance(c, dict)]
            found[info.get("config_name", "default")] = {c.get("name", ""): _words(c) for c in columns}
    return found


def _words(column):
    return ", ".join(f"{key} {value}" for key, value in sorted(column.items()) if key != "name")
