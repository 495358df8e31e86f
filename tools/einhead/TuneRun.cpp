//===- TuneRun.cpp - Measure schedules of one attention ---------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "TuneRun.h"
#include "Tool.h"
#include "llvm/ADT/STLExtras.h"

namespace einhead::tool {

TuneRun::TuneRun(const BenchProblem &problem, const TuneOptions &options)
    : problem(problem), options(options) {}

llvm::Expected<std::unique_ptr<TuneRun>>
TuneRun::create(const BenchProblem &problem, Source &graph,
                const TuneOptions &options) {
  std::unique_ptr<TuneRun> run(new TuneRun(problem, options));
  if (llvm::Error error = run->readModel(graph))
    return error;
  // A gigabyte, only once there is something to measure.
  run->buffers.emplace(problem, options.isCold);
  run->query = randomQuery(problem);
  auto call = run->compile(run->model);
  if (!call)
    return call.takeError();
  run->modelCall = std::move(*call);
  auto reference = RowCheck::create(
      problem,
      {run->query.data(), run->buffers->key(0), run->buffers->value(0),
       run->buffers->keyScale(0), run->buffers->valueScale(0)},
      /*fused=*/true);
  if (!reference)
    return reference.takeError();
  run->reference = std::move(*reference);
  run->winner.schedule = run->model;
  run->winner.isModel = true;
  if (llvm::Error error = run->check(*run->modelCall, 0, run->winner))
    return error;
  if (!run->winner.refused.empty())
    return failure(Exit::Wrong, "the model's schedule, " + run->model.str() +
                                    ": " + run->winner.refused);
  return run;
}

/// The only attention of a module, or null.
static attn::AttentionOp attentionOf(mlir::ModuleOp module) {
  attn::AttentionOp found;
  module.walk([&](attn::AttentionOp op) { found = op; });
  return found;
}

llvm::Error TuneRun::readModel(Source &graph) {
  CompileOptions compileOptions;
  compileOptions.cpu = options.cpu;
  compileOptions.requireFused = true;
  compileOptions.stopAfter = "shared";
  auto text = graph.compile(EmitKind::MLIR, compileOptions);
  if (!text)
    return text.takeError();
  shared = std::move(*text);
  auto source = Source::parse(shared, "tune");
  if (!source)
    return source.takeError();
  compileOptions.startFrom = "shared";
  compileOptions.stopAfter = "scheduled";
  auto scheduled = (*source)->compile(EmitKind::MLIR, compileOptions);
  if (!scheduled)
    return scheduled.takeError();
  auto info = TargetInfo::get(options.cpu);
  if (!info)
    return info.takeError();
  target = std::move(*info);
  attn::AttentionOp op = attentionOf((*source)->module());
  if (!op || !op.getScheduleAttr())
    return failure(Exit::Unsupported, "the graph has no scheduled attention",
                   "'einhead bench --print-graph' prints it, 'einhead explain' "
                   "says why");
  problemKey = ScheduleKey::of(op, target);
  // The roles of the shared form: a batch letter of the spec may be a row here.
  auto like = llvm::cast<attn::AttentionLike>(op.getOperation());
  attn::AttentionRoles roles = attn::rolesOf(like);
  for (char letter : roles.key)
    keys *= attn::staticExtent(like, letter);
  for (char letter : roles.row)
    rows *= attn::staticExtent(like, letter);
  model = ScheduleSizes::of(op.getScheduleAttr());
  return llvm::Error::success();
}

llvm::Expected<std::unique_ptr<BenchCall>>
TuneRun::compile(ScheduleSizes schedule) {
  auto source = Source::parse(shared, "tune");
  if (!source)
    return source.takeError();
  attentionOf((*source)->module())
      .setScheduleAttr(
          schedule.attribute(&(*source)->context(), target.f32Lanes()));
  // What is refused stands in the table, not among diagnostics.
  mlir::ScopedDiagnosticHandler silence(
      &(*source)->context(),
      [](mlir::Diagnostic &) { return mlir::success(); });
  CompileOptions compileOptions;
  compileOptions.cpu = options.cpu;
  compileOptions.startFrom = "shared";
  auto bytes = (*source)->compile(EmitKind::Module, compileOptions);
  if (!bytes)
    return bytes.takeError();
  return BenchCall::open(problem, *buffers, query, *bytes, options.threads);
}

llvm::Error TuneRun::check(BenchCall &call, double perturb,
                           TuneResult &result) {
  if (llvm::Error error = call.evaluate(0))
    return error;
  HostTensor &output = call.output();
  if (perturb != 0)
    output.set(reference->first(), output.at(reference->first()) + perturb);
  reference::Report report = reference->compare(output.data());
  result.errorOverBound = report.worstRatio;
  if (!report.pass)
    result.refused = "wrong result: " + report.message();
  return llvm::Error::success();
}

/// Calls of both take turns on buffers of their own, and in turn who is first,
/// so that both meet the same machine.
llvm::Error TuneRun::race(BenchCall &call, double seconds, TuneResult &result) {
  constexpr size_t fewest = 9, most = 100000;
  std::vector<double> own, models;
  auto time = [&](BenchCall &which, std::vector<double> &into) {
    double begin = now();
    llvm::Error error = which.evaluate(nextSet);
    into.push_back(now() - begin);
    nextSet = (nextSet + 1) % buffers->count();
    return error;
  };
  double start = now();
  for (bool isFirst = true;
       own.size() < fewest || (now() - start < seconds && own.size() < most);
       isFirst = !isFirst) {
    if (isFirst)
      if (llvm::Error error = time(call, own))
        return error;
    if (llvm::Error error = time(*modelCall, models))
      return error;
    if (!isFirst)
      if (llvm::Error error = time(call, own))
        return error;
  }
  std::vector<double> ratios;
  for (auto [mine, model] : llvm::zip_equal(own, models))
    ratios.push_back(mine / model);
  result.ratio = median(ratios);
  result.microseconds = median(own) * 1e6;
  result.modelMicroseconds = median(models) * 1e6;
  return llvm::Error::success();
}

llvm::Expected<TuneResult> TuneRun::measure(const ScheduleSizes &schedule,
                                            double seconds) {
  TuneResult result;
  result.schedule = schedule;
  auto call = compile(schedule);
  if (!call) {
    // What the compiler refuses in words is no candidate.
    llvm::Error rest = llvm::handleErrors(
        call.takeError(), [&](std::unique_ptr<ToolError> error) -> llvm::Error {
          if (error->code != Exit::Unsupported)
            return llvm::Error(std::move(error));
          result.refused = error->message.empty() ? "refused by the compiler"
                                                  : error->message;
          return llvm::Error::success();
        });
    if (rest)
      return rest;
    return result;
  }
  if (llvm::Error error = check(**call, options.perturb, result))
    return error;
  if (!result.refused.empty())
    ++wrong;
  else if (llvm::Error error = race(**call, seconds, result))
    return error;
  return result;
}

llvm::Error
TuneRun::search(llvm::function_ref<void(const TuneResult &, int)> progress) {
  TuneSearch candidates(problemKey, target, keys, rows, model);
  // The model's beside itself: how much of a ratio is noise.
  if (llvm::Error error = race(*modelCall, options.seconds, winner))
    return error;
  results.push_back(winner);
  while (static_cast<int>(results.size()) <= options.candidates) {
    std::optional<ScheduleSizes> schedule = candidates.next();
    if (!schedule)
      break;
    auto result = measure(*schedule, options.seconds);
    if (!result)
      return result.takeError();
    if (result->refused.empty())
      candidates.report(*schedule, result->ratio);
    results.push_back(*result);
    progress(*result, static_cast<int>(results.size()) - 1);
  }
  return confirm();
}

llvm::Error TuneRun::confirm() {
  constexpr double longer = 4;
  constexpr size_t finalists = 3;
  std::vector<TuneResult> first = ranked();
  llvm::erase_if(first, [](const TuneResult &result) {
    return result.isModel || !result.refused.empty() || result.ratio >= 1;
  });
  first.resize(std::min(first.size(), finalists));
  for (const TuneResult &result : first) {
    auto again = measure(result.schedule, longer * options.seconds);
    if (!again)
      return again.takeError();
    for (TuneResult &old : results)
      if (old.schedule == again->schedule)
        old = *again;
    bool isFaster =
        again->ratio < (winner.isModel ? TuneSearch::worth : winner.ratio);
    if (again->refused.empty() && isFaster)
      winner = *again;
  }
  return llvm::Error::success();
}

std::vector<TuneResult> TuneRun::ranked() const {
  std::vector<TuneResult> sorted = results;
  auto rank = [&](const TuneResult &result) {
    bool isBest = result.schedule == winner.schedule;
    return std::make_tuple(!result.refused.empty(), !isBest,
                           result.refused.empty() ? result.ratio : 0);
  };
  llvm::stable_sort(sorted, [&](const TuneResult &x, const TuneResult &y) {
    return rank(x) < rank(y);
  });
  return sorted;
}

} // namespace einhead::tool
