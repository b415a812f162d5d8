internal import Pager

extension Node {
  /// What does not hold that must, of a page between two changes.
  ///
  /// - It is the page that its reference says, of the epoch in which it was born (rule C1 decides by
  ///   that) and of its parent's level less one.
  /// - Its cells, slots and hints are as a page that is read in must be (rule F4): so nothing that is
  ///   written is refused later.
  ///
  /// - Complexity: O(page).
  func invariantViolations(_ reference: PageReference, level: Int, pageByteCount: Int) -> [String] {
    var found: [String] = []
    if id != reference.id || epoch != reference.epoch || self.level != level {
      found.append(
        """
        page \(reference.id): says that it is page \(id) of epoch \(epoch.rawValue) and level \
        \(self.level), not of epoch \(reference.epoch.rawValue) and level \(level)
        """)
    }
    let page = UnsafeRawBufferPointer(start: base, count: pageByteCount)
    if let problem = Self.structureProblem(page) {
      found.append("page \(reference.id): \(problem)")
    }
    return found
  }
}
