/**
 * The import closure of a built entry: every module of ours that it can reach, every Node built-in, and every npm
 * package with the packages that those depend on (as the lock file pins them).
 */
import { existsSync, readFileSync } from "node:fs";
import { isBuiltin } from "node:module";
import { dirname, join, relative, resolve } from "node:path";
import { projectRoot } from "./project.js";

const SPECIFIER =
  /(?:^|[\s;}])(?:import|export)\s*(?:[\w*{][^;"']*?\sfrom\s*)?["']([^"']+)["']|\bimport\(\s*["']([^"']+)["']\s*\)/g;

/** The specifiers that a built module imports, statically or by a literal `import()`. */
export function importsOf(source: string): string[] {
  const code = source.replace(/\/\*[\s\S]*?\*\//g, "").replace(/^\s*\/\/.*$/gm, "");
  return [...code.matchAll(SPECIFIER)].map((match) => match[1] ?? match[2] ?? "");
}

export interface Closure {
  /** Paths below dist/, sorted. */
  readonly modules: readonly string[];
  /** `node:…` built-ins, sorted. */
  readonly builtins: readonly string[];
  /** Names of the packages that our own modules import, sorted. */
  readonly packages: readonly string[];
}

/** Walks the closure of `entry`, a path below dist/. A dynamic import that is not a literal is an error: it cannot be listed. */
export function closureOf(entry: string): Closure {
  const dist = join(projectRoot, "dist");
  const modules = new Set<string>();
  const externals = new Set<string>();
  const pending = [join(dist, entry)];
  for (let path = pending.pop(); path !== undefined; path = pending.pop()) {
    if (modules.has(path)) continue;
    modules.add(path);
    const source = readFileSync(path, "utf8");
    if (/\bimport\(\s*[^"'\s]/.test(source) || /\brequire\(/.test(source)) {
      throw new Error(`${relative(dist, path)} loads a module by a name that only run time knows`);
    }
    for (const specifier of importsOf(source)) {
      if (specifier.startsWith(".")) pending.push(resolve(dirname(path), specifier));
      else externals.add(specifier);
    }
  }
  const names = [...externals];
  return {
    modules: [...modules].map((path) => relative(dist, path)).sort(),
    builtins: names.filter((name) => isBuiltin(name)).sort(),
    packages: [...new Set(names.filter((name) => !isBuiltin(name)).map(packageName))].sort(),
  };
}

const packageName = (specifier: string): string => specifier.split("/", specifier.startsWith("@") ? 2 : 1).join("/");

interface LockEntry {
  readonly version?: string;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

/** `name@version` of each package and of all that it depends on, as package-lock.json pins and nests them. */
export function packageClosure(names: readonly string[]): string[] {
  const lock = JSON.parse(readFileSync(join(projectRoot, "package-lock.json"), "utf8")) as {
    packages: Record<string, LockEntry>;
  };
  const seen = new Set<string>();
  const pending = names.map((name) => lookUp(lock.packages, "", name));
  for (let path = pending.pop(); path !== undefined; path = pending.pop()) {
    if (path === "" || seen.has(path)) continue;
    seen.add(path);
    const entry = lock.packages[path];
    for (const name of Object.keys({ ...entry?.dependencies, ...entry?.optionalDependencies })) {
      pending.push(lookUp(lock.packages, path, name));
    }
  }
  const label = (path: string) =>
    `${path.slice(path.lastIndexOf("node_modules/") + 13)}@${lock.packages[path]?.version}`;
  return [...new Set([...seen].map(label))].sort();
}

/** Node's resolution within the lock file: the nearest node_modules above `from` that has `name`; "" for an optional one that is absent. */
function lookUp(packages: Record<string, LockEntry>, from: string, name: string): string {
  for (let base = from; ; base = base.slice(0, Math.max(0, base.lastIndexOf("node_modules/") - 1))) {
    const path = `${base === "" ? "" : `${base}/`}node_modules/${name}`;
    if (packages[path] !== undefined) return path;
    if (base === "") return "";
  }
}

/** The text that test/golden/ keeps of an entry. */
export function describeClosure(entry: string): string {
  const { modules, builtins, packages } = closureOf(entry);
  const section = (title: string, lines: readonly string[]) => [`# ${title} (${lines.length})`, ...lines, ""];
  return [
    ...section("modules", modules),
    ...section("Node built-ins", builtins),
    ...section("packages imported", packages),
    ...section("packages reached", packageClosure(packages)),
  ].join("\n");
}

/** Whether `npm run build` has run. */
export const isBuilt = (): boolean => existsSync(join(projectRoot, "dist", "shared", "errors.js"));
