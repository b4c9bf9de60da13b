// Runs checks, by their names, one after the other, and prints a line for each:
// "ok NAME" or "not ok NAME: WHY". Then the process ends.
module.exports = async (checks) => {
  for (const [name, check] of Object.entries(checks)) {
    let timer;
    const late = new Promise((_, reject) => { timer = setTimeout(() => reject(new Error("took too long")), 10000); });
    try {
      await Promise.race([check(), late]);
      console.log("ok " + name);
    } catch (err) {
      console.log("not ok " + name + ": " + (err.stack || err).toString().split("\n").slice(0, 12).join(" | "));
    }
    clearTimeout(timer);
  }
  process.exit(0);
};
