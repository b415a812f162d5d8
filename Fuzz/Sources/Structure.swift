@testable import BTreeKV
@testable import Pager

// Changes of what a file's parts say of each other, which changes of single bytes would hardly hit
// on: shared subtrees, cycles, pages of other levels, epochs of the future, overlapping runs, links
// that lead back. Whatever they touch gets its checksum again.

/// An input for each kind of structural change, alone, and for some of them together.
let structureSeeds: [[UInt8]] = (0..<96).map { number in
  var seed: [UInt8] = [UInt8(number % 2)]
  for part in 0...number / 24 {
    seed.append(208 + UInt8((number / 2 + part * 5) % 12))
    seed += editSeed(number * 8 + part + 1, byteCount: 12)
  }
  return seed
}

extension SampleFile {
  /// Carries out the structural change of a number.
  func change(
    _ file: inout [UInt8], _ input: inout FuzzInput, _ kind: Int, _ isMapEdited: inout Bool
  ) {
    let page = treePages[input.word() % treePages.count]
    let other = treePages[input.word() % treePages.count]
    switch kind % 12 {
    case 0, 1: redirect(&file, &input, other)
    case 2:
      file[page * pageByteCount + PageHeader.levelOffset] = input.byte() % 66
      seal(&file, page)
    case 3: swap(&file, page, other)
    case 4: setRoot(&file, &input, other)
    case 5: setTableRoot(&file, &input, other)
    case 6: overlap(&file, &input)
    case 7: setEpoch(&file, &input, page)
    case 8: makeLadder(&file, &input)
    case 9:
      isMapEdited = true
      mark(&file, page, input.byte() & 1 != 0)
    case 10: linkBack(&file, &input)
    default: insertFar(&file, &input, page)
    }
  }

  private func seal(_ file: inout [UInt8], _ page: Int) {
    file.sealPage(page, pageByteCount: pageByteCount, seed: block.checksumSeed)
  }

  private func reference(_ file: [UInt8], _ page: Int) -> PageReference {
    PageReference(
      id: PageID(UInt64(page)), epoch: Epoch(file.get(UInt64.self, at: page * pageByteCount + 16)))
  }

  /// Hands over a page that is sound so far.
  private func withNode(_ file: inout [UInt8], _ page: Int, _ body: (Node) -> Void) {
    file.withUnsafeMutableBytes { file in
      let start = page * pageByteCount
      let bytes = UnsafeMutableRawBufferPointer(rebasing: file[start..<start + pageByteCount])
      guard let base = bytes.baseAddress, bytes[PageHeader.kindOffset] == PageHeader.treeKind,
        Node.structureProblem(UnsafeRawBufferPointer(bytes)) == nil
      else { return }
      body(Node(base))
    }
  }

  /// Another page becomes a child, with its right epoch: a shared subtree or a cycle.
  private func redirect(_ file: inout [UInt8], _ input: inout FuzzInput, _ child: Int) {
    let inner = treePages.filter { file[$0 * pageByteCount + PageHeader.levelOffset] > 0 }
    guard !inner.isEmpty else { return }
    let page = inner[Int(input.byte()) % inner.count]
    let slot = input.word()
    let new = reference(file, child)
    withNode(&file, page) { node in
      Node.withChild(new) { node.overwritePayload(at: slot % node.count, with: $0, isLeaf: false) }
    }
    seal(&file, page)
  }

  /// Two pages change places, each with the number of its new one.
  private func swap(_ file: inout [UInt8], _ first: Int, _ second: Int) {
    let (a, b) = (first * pageByteCount, second * pageByteCount)
    let kept = Array(file[a..<a + pageByteCount])
    file.replaceSubrange(a..<a + pageByteCount, with: Array(file[b..<b + pageByteCount]))
    file.replaceSubrange(b..<b + pageByteCount, with: kept)
    for page in [first, second] {
      file.put(UInt64(page), at: page * pageByteCount + PageHeader.idOffset)
      seal(&file, page)
    }
  }

  private func changeBlock(_ file: inout [UInt8], _ body: (inout Superblock) -> Void) {
    guard var block = try? Superblock.decode(Array(file[..<512])) else { return }
    body(&block)
    file.replaceSubrange(0..<512, with: block.encoded())
  }

  private func setRoot(_ file: inout [UInt8], _ input: inout FuzzInput, _ page: Int) {
    let level = Int(file[page * pageByteCount + PageHeader.levelOffset])
    let height = input.byte() & 3 == 0 ? Int(input.byte()) % 64 + 1 : level % 64 + 1
    let root = TreeRoot(page: reference(file, page), height: height, count: input.word())
    changeBlock(&file) { $0.root = root }
  }

  private func setTableRoot(_ file: inout [UInt8], _ input: inout FuzzInput, _ page: Int) {
    guard let location = block.treeTable else { return }
    let start = Int(location.extent.first.rawValue) * pageByteCount
    let count = Int(file.get(UInt32.self, at: start + 4)) % 64
    let entry = start + 8 + 32 * (Int(input.byte()) % Swift.max(1, count))
    let root = reference(file, page)
    file.put(
      UInt32(file[page * pageByteCount + PageHeader.levelOffset]) + 1, at: entry + 4)
    file.put(root.id.rawValue, at: entry + 8)
    file.put(root.epoch.rawValue, at: entry + 16)
  }

  /// The runs of a large value lie on other ones, or on pages of trees; it may become long.
  private func overlap(_ file: inout [UInt8], _ input: inout FuzzInput) {
    for page in treePages where file[page * pageByteCount + PageHeader.levelOffset] == 0 {
      var isFound = false
      let (first, length) = (input.word() % (file.count / pageByteCount), input.byte())
      withNode(&file, page) { node in
        for index in 0..<node.count {
          let cell = node.cell(index, isLeaf: true)
          guard cell.isLarge,
            var value = LargeValue(cell.payload, pageByteCount: pageByteCount)
          else { continue }
          isFound = true
          for run in value.extents.indices where Int(length) >> run & 1 == 0 {
            value.extents[run].first = PageID(UInt64(Swift.max(4, first)))
          }
          value.encoded.withUnsafeBytes {
            node.overwritePayload(at: index, with: $0, isLeaf: true)
          }
        }
      }
      seal(&file, page)
      if isFound, length & 0x80 == 0 { return }
    }
  }

  /// A page is of another epoch, and those that refer to it say so too.
  private func setEpoch(_ file: inout [UInt8], _ input: inout FuzzInput, _ page: Int) {
    let old = reference(file, page)
    let epochs: [UInt64] = [0, 1, old.epoch.rawValue &+ 1, 1 << 62, (1 << 62) - 1, 1 << 63, .max]
    let new = PageReference(id: old.id, epoch: Epoch(epochs[Int(input.byte()) % epochs.count]))
    file.put(new.epoch.rawValue, at: page * pageByteCount + 16)
    seal(&file, page)
    for parent in treePages where file[parent * pageByteCount + PageHeader.levelOffset] > 0 {
      withNode(&file, parent) { node in
        for index in 0..<node.count where node.child(index) == old {
          Node.withChild(new) { node.overwritePayload(at: index, with: $0, isLeaf: false) }
        }
      }
      seal(&file, parent)
    }
    changeBlock(&file) { if $0.root.page == old { $0.root.page = new } }
  }

  /// Two pages a level, each with both of the next level as children: as many ways down as two to
  /// the power of the levels.
  private func makeLadder(_ file: inout [UInt8], _ input: inout FuzzInput) {
    let height = Swift.min(64, treePages.count / 2, Int(input.byte()) % 64 + 2)
    let isSame = input.byte() & 1 == 0
    for level in 0..<height {
      for side in 0...1 {
        let page = treePages[2 * level + side]
        let entries: [([UInt8], [UInt8])]
        if level == 0 {
          entries = [(Array((side == 0 ? "a" : "z").utf8), [7])]
        } else {
          let separator = Array("m".utf8) + [UInt8](repeating: 0x6D, count: isSame ? 1 : level)
          entries = (0...1).map { child in
            var payload: [UInt8] = []
            Node.withChild(reference(file, treePages[2 * level - 2 + child])) {
              payload = Array($0)
            }
            return (child == 0 ? [] : separator, payload)
          }
        }
        build(&file, page, level: level, entries)
      }
    }
    let root = reference(file, treePages[2 * height - 2])
    changeBlock(&file) { $0.root = TreeRoot(page: root, height: height, count: 2) }
  }

  private func build(
    _ file: inout [UInt8], _ page: Int, level: Int, _ entries: [([UInt8], [UInt8])]
  ) {
    let epoch = reference(file, page).epoch
    file.withUnsafeMutableBytes { file in
      guard let base = file.baseAddress.map({ $0 + page * pageByteCount }) else { return }
      let node = Node(base)
      node.initialize(
        id: PageID(UInt64(page)), epoch: epoch, level: level,
        prefix: UnsafeRawBufferPointer(start: nil, count: 0), pageByteCount: pageByteCount)
      for (index, entry) in entries.enumerated() {
        entry.0.withUnsafeBytes { key in
          entry.1.withUnsafeBytes {
            node.insert(at: index, suffix: key, payload: $0, isLarge: false, isLeaf: level == 0)
          }
        }
      }
    }
    seal(&file, page)
  }

  /// The free map says the opposite, or what it says already.
  private func mark(_ file: inout [UInt8], _ page: Int, _ isUsed: Bool) {
    for slot in [2, 3] {
      let byte = slot * pageByteCount + FreeMapLayout.headerByteCount + page / 8
      file[byte] &= ~(1 << UInt8(page % 8))
      if isUsed { file[byte] |= 1 << UInt8(page % 8) }
      file.sealPage(slot, pageByteCount: pageByteCount, seed: block.checksumSeed)
    }
  }

  /// The log's link leads to its own segment, or into the trees.
  private func linkBack(_ file: inout [UInt8], _ input: inout FuzzInput) {
    guard let log = block.log else { return }
    let start = Int(log.extent.first.rawValue) * pageByteCount
    var segment = LogSegment(
      extent: log.extent, sequence: log.sequence, firstLSN: log.firstLSN, salt: log.salt,
      byteCount: log.extent.pageCount * pageByteCount)
    let own = segment
    if input.byte() & 1 != 0 {
      segment.extent.first = PageID(UInt64(treePages[input.word() % treePages.count]))
    }
    segment.sequence += UInt64(input.byte() & 1)
    file.replaceSubrange(start + 512..<start + 1024, with: own.encodedLink(to: segment))
  }

  /// A key that lies outside of what the page's parents say.
  private func insertFar(_ file: inout [UInt8], _ input: inout FuzzInput, _ page: Int) {
    let key = [input.byte(), input.byte()]
    withNode(&file, page) { node in
      guard node.level == 0, node.prefixLength == 0, node.gap > 64 else { return }
      key.withUnsafeBytes { key in
        let place = node.lowerBound(of: key, isLeaf: true, pageByteCount: pageByteCount)
        guard !place.isFound else { return }
        node.insert(at: place.index, suffix: key, payload: key, isLarge: false, isLeaf: true)
      }
    }
    seal(&file, page)
  }
}
