// Runs `node --test` over each file by itself, because its reports name no file. Some run at a time.
import { spawn } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";

const { files, options, results, jobs } = JSON.parse(readFileSync(process.argv[2], "utf8"));
const codes = files.map(() => null);
let next = 0;

async function work() {
  while (next < files.length) {
    const index = next++;
    const reporter = ["--test-reporter=junit", `--test-reporter-destination=${results}/${index}.xml`];
    await new Promise((done) => {
      const child = spawn(process.execPath, [...options, "--test", ...reporter, files[index]], { stdio: "inherit" });
      child.on("error", done);
      child.on("exit", (code) => {
        codes[index] = code;
        done();
      });
    });
  }
}

await Promise.all(Array.from({ length: jobs }, work));
writeFileSync(`${results}/codes.json`, JSON.stringify(codes));
process.exit(codes.every((code) => code === 0) ? 0 : 1);
