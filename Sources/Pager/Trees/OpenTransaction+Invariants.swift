extension OpenTransaction {
  /// What does not hold that must, between two changes of the transaction.
  ///
  /// - Without a transaction there is nothing of one: no page, no root, no log entry.
  /// - Levels are pinned one after the other, and pages are born after the last: so what the
  ///   innermost level made is changed in place and nothing else (rule C1 in a transaction).
  /// - A level remembers no more than there is, in the order of the levels: so going back finds it.
  /// - Each page that the transaction owns is on the list of some level: else it would be lost when
  ///   the transaction is given up.
  /// - The gathered log entries fit one record, or are given up (rule B7).
  ///
  /// Writer mutex held.
  ///
  /// - Parameter limit: the most pages for which owners are looked for.
  /// - Complexity: O(levels + trees touched + pages made, up to the limit).
  func invariantViolations(limit: Int = .max) -> [String] {
    var found: [String] = []
    if log.byteCount > log.limit || log.byteCount > log.bytes.count {
      found.append("transaction: \(log.byteCount) bytes of log entries of \(log.limit)")
    }
    guard isOpen else {
      let isEmpty =
        levels.isEmpty && touched.isEmpty && unlinked.isEmpty && dropped.isEmpty
        && log.byteCount == 0 && operationCount == 0
      if !isEmpty { found.append("transaction: none is open, but something is left of one") }
      return found
    }
    if levels.isEmpty { found.append("transaction: it has no level to go back to") }
    for (outer, inner) in zip(levels, levels.dropFirst()) {
      if !(outer.pin < inner.pin) || inner.unlinkedCount < outer.unlinkedCount
        || inner.logByteCount < outer.logByteCount || inner.droppedCount < outer.droppedCount
        || inner.operationCount < outer.operationCount || inner.roots.count < outer.roots.count
      {
        found.append("transaction: a savepoint begins before the one around it")
      }
    }
    if let last = levels.last {
      if !(last.pin < birth) {
        found.append("transaction: pages are born in \(birth.rawValue), pinned by a level")
      }
      if last.unlinkedCount > unlinked.count || last.droppedCount > dropped.count
        || last.roots.count > touched.count || last.operationCount > operationCount
      {
        found.append("transaction: its last level remembers more than there is")
      }
    }
    for tree in touched where !tree.state.pointee.isTouched {
      found.append("transaction: tree \(tree.id.rawValue) is touched, but does not know of it")
    }
    return found + ownerViolations(limit)
  }

  private func ownerViolations(_ limit: Int) -> [String] {
    guard levels.reduce(0, { $0 + $1.made.count }) <= limit else { return [] }
    var rest = owned
    for page in levels.lazy.flatMap(\.made) {
      let index = Int(page.rawValue)
      if rest.contains(index) { rest.set(false, index..<index + 1) }
    }
    return rest.lastUsed(below: .max).map {
      ["transaction: page \($0) is its own, but of no level"]
    } ?? []
  }
}
