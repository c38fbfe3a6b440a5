// Sends calls with celery-ts and prints what came of each: the plan comes in on stdin.
const celery = require("celery-ts");

async function main(plan) {
  const client = celery.createClient({ brokerUrl: plan.broker, resultBackend: plan.backend });
  // It subscribes and does not wait for that: the result of a task that ends sooner would be missed.
  await client.backend.subscriber;
  const results = plan.calls.map((call) => {
    const options = { ...call.options };
    for (const moment of ["eta", "expires"]) {
      if (options[moment]) options[moment] = new Date(options[moment]);
    }
    if (options.compression) options.compression = celery.Compressor.Zlib;
    if (options.serializer) options.serializer = celery.Serializer.Yaml;
    const task = client.createTask(call.task, plan.queue);
    return task.applyAsync({ args: call.args, kwargs: call.kwargs, queue: plan.queue, ...options });
  });
  for (const result of results) {
    const answer = plan.results ? { value: await result.get(20000) } : { sent: true };
    console.log(JSON.stringify({ id: result.taskId, ...answer }));
  }
  // Without results it has no promise of a publish: the socket is given a moment.
  if (!plan.results) return new Promise((resolve) => setTimeout(resolve, 1000));
  await client.end();
}

main(JSON.parse(require("fs").readFileSync(0))).then(() => process.exit(0));
