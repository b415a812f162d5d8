/// Makes a list that fails as short as can be (delta debugging, Zeller and Hildebrandt).
package struct Minimizer {
  /// How many lists may still be tried.
  package private(set) var attemptsLeft: Int

  package init(attempts: Int) { attemptsLeft = attempts }

  /// Leaves out pieces, large ones first, as long as what is left still fails.
  ///
  /// - Parameters:
  ///   - items: a list that fails.
  ///   - isFailing: whether another one fails.
  /// - Returns: a part of the list that fails, of which no single item can be left out (unless the
  ///   attempts ran out).
  package mutating func minimize<Item>(
    _ items: [Item], _ isFailing: ([Item]) -> Bool
  ) -> [Item] {
    var items = items
    var size = max(1, items.count / 2)
    while !items.isEmpty {
      var hasShrunk = false
      var start = 0
      while start < items.count {
        guard attemptsLeft > 0 else { return items }
        attemptsLeft -= 1
        let shorter = Array(items[..<start] + items[min(items.count, start + size)...])
        if isFailing(shorter) {
          items = shorter
          hasShrunk = true
        } else {
          start += size
        }
      }
      if size > 1 { size /= 2 } else if !hasShrunk { return items }
    }
    return items
  }

  /// The same with the operations of a plan, and those in its transactions.
  package mutating func minimize(
    _ plan: CrashPlan, _ isFailing: (CrashPlan) -> Bool
  ) -> CrashPlan {
    var plan = plan
    plan.operations = minimize(plan.operations) { operations in
      var shorter = plan
      shorter.operations = operations
      return isFailing(shorter)
    }
    for index in plan.operations.indices {
      plan.operations[index] = minimizeParts(of: plan.operations[index]) { operation in
        var shorter = plan
        shorter.operations[index] = operation
        return isFailing(shorter)
      }
    }
    return plan
  }

  private mutating func minimizeParts(
    of operation: CrashOperation, _ isFailing: (CrashOperation) -> Bool
  ) -> CrashOperation {
    guard var parts = operation.parts else { return operation }
    parts = minimize(parts) { isFailing(operation.with(parts: $0)) }
    for index in parts.indices {
      parts[index] = minimizeParts(of: parts[index]) { part in
        var shorter = parts
        shorter[index] = part
        return isFailing(operation.with(parts: shorter))
      }
    }
    return operation.with(parts: parts)
  }
}
