// @ts-check
// The page as a whole: what the Gradio component and the replay file call.

export { mountPage } from "./pages.js";
export { mount } from "./stage.js";
