// Shows /openapi.json at /docs. Nothing is asked of another host.
document.documentElement.classList.toggle("dark-mode", matchMedia("(prefers-color-scheme: dark)").matches);

// Swagger UI takes the whole document apart for each operation that opens, which is seconds. Ours refers to nothing
// but its own parts, so a reference is only looked up. One inside what it refers to stays what it is.
function resolved(whole, part, inside = []) {
  if (Array.isArray(part)) return part.map((each) => resolved(whole, each, inside));
  if (part === null || typeof part !== "object") return part;
  const { $ref, ...own } = part;
  if (typeof $ref === "string") {
    if (inside.includes($ref)) return part;
    const target = at(whole, $ref.slice("#/".length).split("/"));
    return { ...resolved(whole, target, [...inside, $ref]), ...own };
  }
  return Object.fromEntries(Object.entries(part).map(([key, value]) => [key, resolved(whole, value, inside)]));
}

function at(whole, path) {
  return path.reduce((part, key) => part[key], whole);
}

const lookedUp = () => ({
  fn: { resolveSubtree: async (whole, path) => ({ spec: resolved(whole, at(whole, path)), errors: [] }) },
});

// The box finds operations by all of the words in it, and shows them under their tags; without it, a tag is closed.
function found(operation, tag, words) {
  const { summary, operationId } = operation.get("operation").toObject();
  const said = [tag, operation.get("method"), operation.get("path"), summary, operationId].join(" ").toLowerCase();
  return words.every((word) => said.includes(word));
}

const finding = ({ React }) => ({
  fn: {
    opsFilter: (tags, phrase) => {
      const words = phrase.toLowerCase().split(/\s+/);
      return tags
        .map((tag, name) => tag.update("operations", (all) => all.filter((each) => found(each, name, words))))
        .filter((tag) => tag.get("operations").size > 0);
    },
  },
  components: {
    FilterContainer: ({ layoutSelectors, layoutActions }) =>
      React.createElement(
        "div",
        { className: "filter wrapper" },
        React.createElement("input", {
          className: "operation-filter-input",
          type: "search",
          placeholder: "Find operations: post claims, reports, role…",
          "aria-label": "Find operations",
          style: { maxWidth: "none" }, // of a phone too
          value: asked(layoutSelectors.currentFilter()),
          onChange: (typed) => layoutActions.updateFilter(typed.target.value),
        }),
      ),
  },
  wrapComponents: {
    OperationTag: (Tag) => (props) => {
      const open = asked(props.layoutSelectors.currentFilter()) ? { isShown: () => true } : {};
      return React.createElement(Tag, { ...props, layoutSelectors: { ...props.layoutSelectors, ...open } });
    },
  },
});

function asked(filter) {
  return typeof filter === "string" ? filter : ""; // before anything was typed it is true
}

SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#docs",
  validatorUrl: null,
  deepLinking: true,
  docExpansion: "none",
  filter: true,
  displayRequestDuration: true,
  defaultModelsExpandDepth: 0,
  syntaxHighlight: { activated: true, theme: "agate" },
  plugins: [lookedUp, finding],
});
