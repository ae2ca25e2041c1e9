//! What every committed notebook must be, whatever is in it.

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
                assert!(cell["execution_count"].is_u64(), "{name}: cell {} was not executed", i + 1);
                let errors =
                    cell["outputs"].as_array().unwrap().iter().filter(|output| output["output_type"] == "error");
                assert_eq!(errors.count(), 0, "{name}: cell {} holds an error", i + 1);
            }
        }
    }
    assert!(count > 0);
}
