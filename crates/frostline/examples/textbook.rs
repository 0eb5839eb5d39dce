//! Transfer learning as the textbook has it in Keras, whose program stands in the comments.
use frostline::prelude::*;

#[allow(clippy::print_stdout, reason = "it is a program")]
fn main() -> Result<()> {
    let task_b = open_data("crates/cli/assets/demo/fashion_subset.npz".as_ref())?;
    // model_A = keras.models.load_model("my_model_A.h5")
    let model_a = Model::load("crates/cli/assets/demo/my_model_A.h5")?;
    // model_B_on_A = keras.Sequential(keras.models.clone_model(model_A).layers[:-1])
    // model_B_on_A.add(keras.layers.Dense(1, activation="sigmoid"))
    let model_b = model_a.keep(-1)?.push(Dense::new(1).sigmoid())?;
    // for layer in model_B_on_A.layers[:-1]: layer.trainable = False
    // model_B_on_A.compile(loss="binary_crossentropy", optimizer=SGD(momentum=0.9), metrics=["accuracy"])
    // model_B_on_A.fit(X_train_B, y_train_B, epochs=4, validation_data=(X_valid_B, y_valid_B))
    // for layer in model_B_on_A.layers[:-1]: layer.trainable = True     # and compile again, at a lower rate
    // model_B_on_A.fit(X_train_B, y_train_B, epochs=16, validation_data=(X_valid_B, y_valid_B))
    let fitted = Trainer::new(&model_b, task_b)
        .keep_head()
        .optimizer("sgd(momentum=0.9)")
        .stage(StageConfig::head().epochs(4).learning_rate(1e-2))
        .stage(StageConfig::fine_tune(Unfreeze::All).epochs(16).learning_rate(1e-3))
        .train()?;
    // model_B_on_A.evaluate(X_test_B, y_test_B)
    println!("test accuracy {:.4}", fitted.test_accuracy().unwrap_or(f64::NAN));
    // model_B_on_A.save("my_model_B.keras")
    fitted.model.save(std::env::temp_dir().join("my_model_B.keras"))
}
