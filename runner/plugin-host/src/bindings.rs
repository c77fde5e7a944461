//! Bindings to `wit/`: one small world per hook, so that a component is asked only for what it has.
wasmtime::component::bindgen!({
    path: "../../wit",
    world: "every-hook",
    imports: { default: async | trappable },
    exports: { default: async },
});
