//! What every committed notebook must be, whatever is in it.

use base64::Engine;
use serde_json::Value;
use std::path::Path;

#[test]
fn committed_notebooks_are_executed_small_and_for_our_kernel() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut count = 0;
    for entry in std::fs::read_dir(root.join("notebooks")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "ipynb") {
            continue;
        }
        count += 1;
        let text = std::fs::read_to_string(&path).unwrap();
        let name = path.display();
        assert!(text.len() <= 2_000_000, "{name} has {} bytes", text.len());
        assert!(!text.contains(root.to_str().unwrap()), "{name} holds a path of this machine");
        let notebook: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(notebook["metadata"]["kernelspec"]["name"], "generative-models", "{name}");
        for (i, cell) in notebook["cells"].as_array().unwrap().iter().enumerate() {
            if cell["cell_type"] == "code" {
                assert!(
                    cell["execution_count"].is_u64(),
                    "{name}: cell {} was not executed; `cargo run -- run --in-place {}` does that",
                    i + 1,
                    path.file_stem().unwrap().display()
                );
                let errors =
                    cell["outputs"].as_array().unwrap().iter().filter(|output| output["output_type"] == "error");
                assert_eq!(errors.count(), 0, "{name}: cell {} holds an error", i + 1);
            }
        }
    }
    assert!(count > 0);
}

#[test]
fn the_readme_shows_a_figure_of_a_notebook() {
    let notebooks = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("notebooks");
    let text = std::fs::read_to_string(notebooks.join("14-evidence-lower-bound.ipynb")).unwrap();
    let notebook: Value = serde_json::from_str(&text).unwrap();
    let outputs = notebook["cells"].as_array().unwrap().iter().filter_map(|cell| cell["outputs"].as_array()).flatten();
    let mut pictures = outputs.filter_map(|output| output["data"]["image/png"].as_str());
    let decoded = |picture: &str| base64::engine::general_purpose::STANDARD.decode(picture.trim()).unwrap();
    let shown = std::fs::read(notebooks.join("README.png")).unwrap();
    assert!(
        pictures.any(|picture| decoded(picture) == shown),
        "notebooks/README.png is no picture of that notebook any more"
    );
}
