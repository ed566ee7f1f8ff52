# What the gallery site of a study is made from; the rules are in site.smk.


def site_file(name):
    """Path of a file of the gallery site."""
    return table_file(f"gallery/{name}")


def page_hash():
    """Checksum of the page's own scripts and style, so that an edit of one makes the page again."""
    static = Path(workflow.basedir, "simformer/analysis/site/static")
    return hashlib.sha256(b"".join(file.read_bytes() for file in sorted(static.iterdir()))).hexdigest()


def site_cells():
    """The (dataset, split, method, seed) that the site shows: the study's first experiment, its first seed."""
    name = STUDY.experiments[0]
    first = (CATALOGUE.experiment(name).seeds or STUDY.seeds)[0]
    return [dict(zip(CELL, cell)) for cell in CATALOGUE.cells(name) if cell[3] == first]


def site_folder(cell):
    """Folder, within the site, of the predictions of the model that a cell uses."""
    split = CATALOGUE.trained_split(cell["split"], cell["method"])
    return "{dataset}/{split}/{method}/seed{seed}".format(**cell | {"split": split})


def site_parts(wildcards):
    """What the site is joined from: images of every dataset, predictions of every model, base and novel classes."""
    cells = site_cells()
    images = [site_file(f"{cell['dataset']}/images.js") for cell in cells]
    predictions = [site_file(f"{site_folder(cell)}/predictions.js") for cell in cells]
    return list(dict.fromkeys([*images, *predictions, *(split_file("split.yaml").format(**cell) for cell in cells)]))


def site_spec(wildcards):
    views = {}
    for cell in site_cells():
        dataset = CATALOGUE.datasets[cell["dataset"]]
        place = {"dataset": cell["dataset"], "split": cell["split"], "title": dataset.title}
        place["groups"] = split_file("split.yaml").format(**cell)
        view = views.setdefault((cell["dataset"], cell["split"]), place | {"methods": []})
        label = CATALOGUE.method(cell["method"]).label
        view["methods"].append({"method": cell["method"], "label": label, "folder": site_folder(cell)})
    title = f"SimFormer gallery: {Path(STUDY.results).name}"
    return sorted_json({"title": title, "views": list(views.values())})
