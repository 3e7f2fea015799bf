// A reporter of vitest that turns off the checks of types: the command's own option does not reach the projects of a
// workspace.
export default class Untyped {
  onInit(vitest) {
    for (const project of vitest.projects ?? vitest.workspaceProjects ?? []) {
      if (project.config.typecheck) project.config.typecheck.enabled = false;
    }
  }
}
